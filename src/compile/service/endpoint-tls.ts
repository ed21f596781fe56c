/**
 * What the proxy takes for a proof of who an endpoint is, and what it proves itself with, from the annotations and the objects that they
 * name. Never fails open.
 */

import { X509Certificate } from 'node:crypto';
import { type ConfigMapObject, hasCas } from '../../kube/kind/config-map.ts';
import type { ObjectRef } from '../../kube/store.ts';
import type { SecretKey } from '../../kube/kind/secret.ts';
import type { Credential } from '../../model/credential.ts';
import {
  CA_BYTES_MAX,
  CA_CERTIFICATES_MAX,
  type EndpointTls,
  serverNameOf,
} from '../../model/endpoint-tls.ts';
import { UPSTREAM_CA_LABEL } from '../../model/names.ts';
import { caReference, type CaReference } from '../annotation/endpoint-tls.ts';
import type { Annotation, Annotations } from '../annotation/read.ts';
import { configMapDependency, secretDependency } from '../index/dependents.ts';
import type { ObjectProblem } from '../object-problem.ts';
import { clientCertificateOf, find, type SecretContext } from './credentials.ts';

export interface DecidedTls {
  readonly tls: EndpointTls;
  readonly credentials: readonly Credential[];
  readonly findings: readonly ObjectProblem[];
  /** What a change of may change it. */
  readonly dependencies: readonly string[];
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/;
const UNTIL_THEN = 'until then no endpoint is believed, and calls get 502';

/** Of a port that is spoken to in TLS. `annotations` are those that hold on it. */
export function endpointTlsOf(
  context: SecretContext,
  ref: ObjectRef,
  annotations: Annotations,
): DecidedTls {
  const { client, ...own } = clientCertificateOf(context, ref, annotations);
  const { findings, dependencies, ...trusted } = trustOf(context, ref, annotations);
  return {
    tls: { ...trusted, client },
    credentials: own.credentials,
    findings: [...findings, ...own.findings],
    dependencies: [...dependencies, ...own.dependencies],
  };
}

type Trusted = Omit<EndpointTls, 'client'> & Omit<DecidedTls, 'tls' | 'credentials'>;

function trustOf(context: SecretContext, ref: ObjectRef, { values }: Annotations): Trusted {
  const name = values.get('upstream-server-name')?.value;
  const serverName = typeof name === 'string' ? name : serverNameOf(ref.namespace, ref.name);
  const ca = values.get('upstream-ca');
  const verify = values.get('upstream-verify');
  if (verify?.value === false) {
    const findings = [unverified(ref, verify), ...(ca === undefined ? [] : [useless(ref, ca)])];
    return { serverName, trust: 'anyone', ca: '', findings, dependencies: [] };
  }
  if (ca === undefined)
    return { serverName, trust: 'public', ca: '', findings: [], dependencies: [] };
  const { pem, findings, dependencies } = read(context, ref, ca);
  return { serverName, trust: 'given', ca: pem, findings, dependencies };
}

interface Found {
  /** '' when it cannot be used. */
  readonly pem: string;
  readonly findings: readonly ObjectProblem[];
  readonly dependencies: readonly string[];
}

function read(context: SecretContext, ref: ObjectRef, ca: Annotation): Found {
  const at = ca.value as CaReference | null;
  const fail = (message: string, remedy: string, dependencies: readonly string[]): Found => ({
    pem: '',
    findings: [
      {
        severity: 'error',
        ref,
        field: ca.field,
        value: ca.text,
        message: `${ca.row.name} ${message}`,
        remedy: `${remedy}; ${UNTIL_THEN}`,
      },
    ],
    dependencies,
  });
  if (at === null)
    return fail('does not name a ConfigMap or Secret', `write ${caReference.name}`, []);
  const { namespace } = ref;
  if (at.kind === 'secret') return readSecret(context, ref, at, fail);
  const what = `ConfigMap ${namespace}/${at.name}`;
  const dependencies = [configMapDependency(`${namespace}/${at.name}`)];
  const object = context.store.get('ConfigMap', namespace, at.name);
  const label = `${UPSTREAM_CA_LABEL}: "true"`;
  if (object === undefined || !hasCas(object))
    return fail(
      `names ${what}, which is not there or has no label ${label}`,
      'create it, and label it so',
      dependencies,
    );
  const pem = certificatesOf(object, at.key);
  if (pem === null)
    return fail(
      `names ${what}, which has no key "${at.key}" of text`,
      `write ${caReference.name} with a key that it has`,
      dependencies,
    );
  return pem.ok
    ? { pem: pem.text, findings: [], dependencies }
    : fail(`cannot use "${at.key}" of ${what}: ${pem.message}`, 'write CAs as PEM', dependencies);
}

type Fail = (message: string, remedy: string, dependencies: readonly string[]) => Found;

// oxlint-disable-next-line max-params -- of a private function
function readSecret(
  { store, secretNamespaces }: SecretContext,
  { namespace }: ObjectRef,
  { name, key }: CaReference,
  fail: Fail,
): Found {
  const what = `Secret ${namespace}/${name}`;
  const dependencies = [secretDependency(`${namespace}/${name}`)];
  const found = find(store, secretNamespaces, namespace, name);
  if ('message' in found) return fail(found.message, found.remedy, dependencies);
  const { ca, certificate, faults } = found.object;
  const fault = faults[key as SecretKey];
  if (fault !== undefined)
    return fail(`cannot use "${key}" of ${what}: it ${fault}`, 'write CAs as PEM', dependencies);
  const text = key === 'tls.crt' ? certificate : ca;
  if (text.trim() === '')
    return fail(`names ${what}, which has no "${key}"`, 'add it', dependencies);
  const pem = parsed(found.object, key, text);
  return pem.ok
    ? { pem: pem.text, findings: [], dependencies }
    : fail(`cannot use "${key}" of ${what}: ${pem.message}`, 'write CAs as PEM', dependencies);
}

type Certificates =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly message: string };

/** Of an object that is there once for all ports that name it, and until it is replaced. */
const READ = new WeakMap<object, Map<string, Certificates>>();

/** Those under a key of a ConfigMap; null without such a key. */
export function certificatesOf(object: ConfigMapObject, key: string): Certificates | null {
  const text = Object.hasOwn(object.data, key) ? object.data[key] : undefined;
  return text === undefined ? null : parsed(object, key, text);
}

function parsed(object: object, key: string, text: string): Certificates {
  const known = READ.get(object) ?? new Map<string, Certificates>();
  READ.set(object, known);
  const found = known.get(key) ?? certificatesIn(text);
  known.set(key, found);
  return found;
}

/** The certificates alone, one form for all ways to write them: what is between them travels nowhere. */
export function certificatesIn(text: string): Certificates {
  if (PRIVATE_KEY.test(text))
    return { ok: false, message: 'it has a private key, which belongs nowhere beside CAs' };
  const blocks = [...new Set(text.replaceAll('\r', '').match(CERTIFICATE))];
  // Before the first of them is parsed: whoever may write a ConfigMap may write many.
  if (blocks.length > CA_CERTIFICATES_MAX)
    return {
      ok: false,
      message: `it has ${blocks.length} certificates, and ${CA_CERTIFICATES_MAX} are used at most`,
    };
  const kept = new Set<string>();
  for (const [index, block] of blocks.entries()) {
    try {
      kept.add(new X509Certificate(block).toString().trim());
    } catch {
      return { ok: false, message: `its certificate ${index + 1} cannot be read` };
    }
  }
  if (kept.size === 0) return { ok: false, message: 'it has no certificate' };
  const pem = `${[...kept].join('\n')}\n`;
  return pem.length <= CA_BYTES_MAX
    ? { ok: true, text: pem }
    : {
        ok: false,
        message: `its certificates have ${pem.length} bytes, and ${CA_BYTES_MAX} are used at most`,
      };
}

function unverified(ref: ObjectRef, { field, text }: Annotation): ObjectProblem {
  return {
    severity: 'warning',
    ref,
    field,
    value: text,
    message:
      'certificates of endpoints are not verified: whoever answers at their addresses gets the requests',
    remedy: 'name the CA of the endpoints by maesh.dev/upstream-ca, and remove this',
  };
}

function useless(ref: ObjectRef, { field, text, row }: Annotation): ObjectProblem {
  return {
    severity: 'warning',
    ref,
    field,
    value: text,
    message: `${row.name} has no effect: upstream-verify is false`,
    remedy: 'remove one of the two',
  };
}
