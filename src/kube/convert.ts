/** Untyped objects, from a manifest or the API, to typed ones: the table of the kinds that maesh reads. */

import { readEndpointSlice } from './kind/endpoint-slice.ts';
import { readEndpoints } from './kind/endpoints.ts';
import { Fields, Findings } from './fields.ts';
import type { Finding } from './fields.ts';
import { readNamespace } from './kind/namespace.ts';
import { readNode } from './kind/node.ts';
import { describe } from './object.ts';
import type { Kind, KubeObject } from './object.ts';
import { readPod } from './kind/pod.ts';
import { isRecord } from '../base/record.ts';
import { readServiceAccount } from './kind/service-account.ts';
import { readService } from './kind/service.ts';

type Reader = (object: Fields) => KubeObject;

interface KnownKind {
  readonly apiVersion: string;
  readonly read: Reader;
}

/** A kind of another API group with one of these names (`serving.knative.dev/v1 Service`) is not this kind. */
const KINDS: Readonly<Record<Kind, KnownKind>> = {
  Namespace: { apiVersion: 'v1', read: readNamespace },
  Service: { apiVersion: 'v1', read: readService },
  Endpoints: { apiVersion: 'v1', read: readEndpoints },
  EndpointSlice: { apiVersion: 'discovery.k8s.io/v1', read: readEndpointSlice },
  Pod: { apiVersion: 'v1', read: readPod },
  ServiceAccount: { apiVersion: 'v1', read: readServiceAccount },
  Node: { apiVersion: 'v1', read: readNode },
};

/** The kinds that are read, and in which version. */
export const API_VERSIONS: ReadonlyMap<string, string> = new Map(
  Object.entries(KINDS).map(([kind, { apiVersion }]) => [kind, apiVersion]),
);

export interface Conversion {
  /** `Service shop/web` as far as it is written; '' when the object has no name. */
  readonly name: string;
  /** null when the object cannot be used; then `findings` has at least one error. */
  readonly object: KubeObject | null;
  readonly findings: readonly Finding[];
}

/** True when objects of this kind are read; others are skipped. */
export function isKnown(apiVersion: string, kind: string): kind is Kind {
  return API_VERSIONS.get(kind) === apiVersion;
}

/** Reads one object of a known kind. Never throws for data that JSON can express. */
export function convert(kind: Kind, value: Readonly<Record<string, unknown>>): Conversion {
  const findings = new Findings();
  const object = KINDS[kind].read(Fields.root(value, findings));
  const isNamed = object.meta.name !== '' && (object.meta.namespace !== '' || !findings.lost);
  return {
    name: isNamed ? describe(object) : nameAsWritten(kind, value),
    object: findings.lost ? null : object,
    findings: findings.all,
  };
}

/** `Service shop/web` as far as it is written; '' when there is no name. */
export function nameAsWritten(kind: string, value: Readonly<Record<string, unknown>>): string {
  const meta = isRecord(value['metadata']) ? value['metadata'] : {};
  const { name, namespace } = meta;
  if (typeof name !== 'string' || name === '') return '';
  const place = typeof namespace === 'string' && namespace !== '' ? `${namespace}/` : '';
  return `${kind} ${place}${name}`.slice(0, 200);
}
