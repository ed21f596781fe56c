/** Which Services are part of the mesh. */

import type { ServiceObject } from '../../kube/kind/service.ts';
import type { Meta } from '../../kube/meta.ts';
import type { ObjectRef, StoreView } from '../../kube/store.ts';
import { ANNOTATION_PREFIX, OWN_NAMES } from '../../model/names.ts';
import {
  type Annotations,
  hasAnnotations,
  isForMesh,
  NO_ANNOTATIONS,
  readAnnotation,
  readAnnotations,
  remedyFor,
} from '../annotation/read.ts';
import { ROWS } from '../annotation/table.ts';
import type { ObjectProblem } from '../object-problem.ts';

/** What stands in annotation and label `maesh.dev/mesh`. */
type Wish = 'enabled' | 'disabled' | null;

export interface Membership {
  readonly isMember: boolean;
  /** Why it is no member, as a sentence; '' of a member. */
  readonly reason: string;
  readonly annotations: Annotations;
  readonly findings: readonly ObjectProblem[];
}

/** Who takes part where nothing at the Service or its Namespace says so. */
export interface Scope {
  /** Only these namespaces; all when empty. */
  readonly watchNamespaces: readonly string[];
  /** Never these, whatever they say. */
  readonly ignoreNamespaces: readonly string[];
  /** `namespace/name` of a Service that takes part whatever the rest says. */
  readonly always?: string;
  /** Only Services that ask for it, themselves or through their Namespace. */
  readonly isOptIn: boolean;
}

export const EVERYTHING: Scope = { watchNamespaces: [], ignoreNamespaces: [], isOptIn: false };

const MESH_LABEL = `${ANNOTATION_PREFIX}mesh`;
const SYSTEM_NAMESPACE = 'kube-system';
const NO_ENDPOINTS = 'Services of type ExternalName have no endpoints of their own';

/** Decides about one Service; the findings are those of its own annotations and label. */
export function membershipOf(store: StoreView, service: ServiceObject, scope: Scope): Membership {
  const { namespace, name } = service.meta;
  const ref: ObjectRef = { kind: 'Service', namespace, name };
  if (scope.always === `${namespace}/${name}`) {
    return {
      isMember: true,
      reason: '',
      annotations: readAnnotations('Service', ref, service.meta, service.ports),
      findings: [],
    };
  }
  const reason =
    namespace === 'default' && name === 'kubernetes'
      ? 'the Service of the API server is never part of the mesh'
      : outOfScope(namespace, scope);
  return reason === ''
    ? asWished(store, service, scope.isOptIn)
    : { isMember: false, reason, annotations: NO_ANNOTATIONS, findings: [] };
}

/** As the Service itself says, or else its Namespace, or else the mesh. */
function asWished(store: StoreView, service: ServiceObject, isOptIn: boolean): Membership {
  const { namespace, name } = service.meta;
  const ref: ObjectRef = { kind: 'Service', namespace, name };
  const annotations = readAnnotations('Service', ref, service.meta, service.ports);
  const label = labelOf(ref, service.meta);
  const findings = [...annotations.findings, ...label.findings];
  const own = annotatedWish(annotations) ?? label.wish;
  const wish = own ?? namespaceWish(store, namespace);
  const isMember = wish === null ? !isOptIn : wish === 'enabled';
  if (service.type !== 'ExternalName') {
    return { isMember, reason: isMember ? '' : whyNot(own, wish), annotations, findings };
  }
  if (isMember) findings.push(unnamed(ref));
  else if (own !== 'disabled' && hasAnnotations(service.meta)) findings.push(idle(ref));
  return { isMember: false, reason: NO_ENDPOINTS, annotations: NO_ANNOTATIONS, findings };
}

function whyNot(own: Wish, wish: Wish): string {
  if (own === 'disabled') return `${MESH_LABEL} is "disabled" on the Service`;
  if (wish === 'disabled') return `${MESH_LABEL} is "disabled" on its Namespace`;
  return `opt-in mode: neither the Service nor its Namespace has ${MESH_LABEL}: enabled`;
}

/** Why no Service of the namespace is part of the mesh, as a sentence; '' when they may be. */
export function outOfScope(namespace: string, scope: Scope): string {
  if (namespace === SYSTEM_NAMESPACE) return `namespace ${namespace} is never part of the mesh`;
  if (scope.ignoreNamespaces.includes(namespace)) {
    return `namespace ${namespace} is excluded (--ignore-namespace)`;
  }
  const isWatched = scope.watchNamespaces.length === 0 || scope.watchNamespaces.includes(namespace);
  return isWatched ? '' : `namespace ${namespace} is not in --watch-namespace`;
}

/** What a Namespace says for its Services. */
function namespaceWish(store: StoreView, namespace: string): Wish {
  const object = store.get('Namespace', '', namespace);
  if (object === undefined) return null;
  const ref: ObjectRef = { kind: 'Namespace', namespace: '', name: namespace };
  return (
    annotatedWish(readAnnotation('Namespace', ref, object.meta, 'mesh')) ?? labelWish(object.meta)
  );
}

/** What is wrong with the annotations and the label of a Namespace. */
export function namespaceFindings(ref: ObjectRef, meta: Meta): readonly ObjectProblem[] {
  return [...readAnnotations('Namespace', ref, meta).findings, ...labelOf(ref, meta).findings];
}

function annotatedWish(annotations: Annotations): Wish {
  const value = annotations.values.get('mesh')?.value;
  return value === 'enabled' || value === 'disabled' ? value : null;
}

function labelWish({ labels }: Meta): Wish {
  const value = labels[MESH_LABEL];
  return value === 'enabled' || value === 'disabled' ? value : null;
}

function labelOf(ref: ObjectRef, meta: Meta): { wish: Wish; findings: readonly ObjectProblem[] } {
  const value = meta.labels[MESH_LABEL];
  const wish = labelWish(meta);
  const findings = idleLabels(ref, meta);
  if (value === undefined || wish !== null) return { wish, findings };
  const row = ROWS.get('mesh');
  const finding: ObjectProblem = {
    severity: 'error',
    ref,
    field: `metadata.labels["${MESH_LABEL}"]`,
    value,
    message: 'mesh has no such value',
    remedy: row === undefined ? '' : remedyFor(row, value),
  };
  return { wish: null, findings: [...findings, finding] };
}

/** Labels that were meant for the mesh and that it does not read. */
function idleLabels(ref: ObjectRef, meta: Meta): readonly ObjectProblem[] {
  const findings: ObjectProblem[] = [];
  for (const key of Object.keys(meta.labels)) {
    if (key === MESH_LABEL || !isForMesh(key)) continue;
    const name = key.slice(key.indexOf('/') + 1);
    if (OWN_NAMES.has(name)) continue;
    const remedy =
      name === 'mesh'
        ? `did you mean ${MESH_LABEL}?`
        : `${MESH_LABEL} is the only label; write annotations`;
    findings.push({
      severity: 'warning',
      ref,
      field: `metadata.labels["${key}"]`,
      value: meta.labels[key] ?? '',
      message: 'label has no effect: the mesh does not read it',
      remedy,
    });
  }
  return findings;
}

/** Nobody left it out, so somebody may call its mesh name. */
function unnamed(ref: ObjectRef): ObjectProblem {
  return {
    severity: 'warning',
    ref,
    field: 'spec.type',
    value: 'ExternalName',
    message:
      'a Service of type ExternalName has no endpoints of its own, so its mesh name does not resolve and its annotations have no effect',
    remedy: `call the external name; or make it a Service without selector and give it Endpoints; if nobody calls its mesh name, set ${MESH_LABEL}: disabled`,
  };
}

/** It would be no part of the mesh anyway, and is annotated as if it were. */
function idle(ref: ObjectRef): ObjectProblem {
  return {
    severity: 'warning',
    ref,
    field: 'spec.type',
    value: 'ExternalName',
    message:
      'a Service of type ExternalName is not part of the mesh, so its annotations have no effect',
    remedy: 'remove the annotations, or make it a Service without selector and give it Endpoints',
  };
}
