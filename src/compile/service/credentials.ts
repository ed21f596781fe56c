/** The Secrets that a port names, and what became of them. What cannot be used never leads to less than was asked for. */

import { TLS_SECRET_TYPE, type SecretObject } from '../../kube/kind/secret.ts';
import type { ObjectRef, StoreView } from '../../kube/store.ts';
import {
  type CallerTls,
  type Certificate,
  type Credential,
  missingCertificate,
} from '../../model/credential.ts';
import { SECRETS_ROLE } from '../../model/names.ts';
import type { SecretNames } from '../annotation/caller-tls.ts';
import type { Annotation, Annotations } from '../annotation/read.ts';
import { secretDependency } from '../index/dependents.ts';
import type { ObjectProblem } from '../object-problem.ts';
import { KEY_KINDS, type KeyPair, keyPairOf } from './key-pair.ts';

export interface SecretContext {
  readonly store: StoreView;
  /** Namespaces whose Secrets are read; null: all of them. */
  readonly secretNamespaces: ReadonlySet<string> | null;
}

/** What comes of naming Secrets. */
export interface FromSecrets {
  readonly credentials: readonly Credential[];
  readonly findings: readonly ObjectProblem[];
  /** What a change of may change it. */
  readonly dependencies: readonly string[];
}

export const NO_SECRETS: FromSecrets = { credentials: [], findings: [], dependencies: [] };
const SERVER_PURPOSE = '1.3.6.1.5.5.7.3.1';
const CLIENT_PURPOSE = '1.3.6.1.5.5.7.3.2';

/** Of a port whose callers can speak TLS with the proxy. `annotations` are those that hold on it. */
export function callerTlsOf(
  context: SecretContext,
  ref: ObjectRef,
  annotations: Annotations,
): FromSecrets & { readonly callerTls: CallerTls | null } {
  const said = annotations.values.get('tls-secret');
  const names = said?.value as SecretNames | undefined;
  if (said === undefined || names?.length === 0) return { ...NO_SECRETS, callerTls: null };
  const until = 'until then callers cannot connect to the port';
  const all = (names ?? []).map((name) =>
    read(context, { ref, said, until, purpose: SERVER_PURPOSE, of: 'callers' }, name),
  );
  if (all.length === 0)
    all.push({
      ...NO_SECRETS,
      certificate: missingCertificate(''),
      findings: [unreadable(ref, said, until)],
    });
  return { ...joined(all), callerTls: { certificates: all.map(({ certificate }) => certificate) } };
}

/** Of a port that is spoken to in TLS. */
export function clientCertificateOf(
  context: SecretContext,
  ref: ObjectRef,
  annotations: Annotations,
): FromSecrets & { readonly client: Certificate | null } {
  const said = annotations.values.get('upstream-client-secret');
  const names = said?.value as SecretNames | undefined;
  if (said === undefined || names?.length === 0) return { ...NO_SECRETS, client: null };
  const until = 'until then no endpoint is dialled, and calls get 502';
  const [name] = names ?? [];
  if (name === undefined)
    return {
      ...NO_SECRETS,
      client: missingCertificate(''),
      findings: [unreadable(ref, said, until)],
    };
  const { certificate, ...rest } = read(
    context,
    { ref, said, until, purpose: CLIENT_PURPOSE, of: 'clients' },
    name,
  );
  return { ...rest, client: certificate };
}

export function joined(all: readonly FromSecrets[]): FromSecrets {
  return {
    credentials: all.flatMap(({ credentials }) => credentials),
    findings: all.flatMap(({ findings }) => findings),
    dependencies: all.flatMap(({ dependencies }) => dependencies),
  };
}

interface Naming {
  readonly ref: ObjectRef;
  readonly said: Annotation;
  readonly until: string;
  readonly purpose: string;
  /** Whom the certificate is for, in plural. */
  readonly of: string;
}

function read(
  { store, secretNamespaces }: SecretContext,
  naming: Naming,
  name: string,
): FromSecrets & { readonly certificate: Certificate } {
  const { namespace } = naming.ref;
  const key = `${namespace}/${name}`;
  const found = find(store, secretNamespaces, namespace, name);
  const dependencies = [secretDependency(key)];
  if ('message' in found) {
    const problem = finding(naming, 'error', found.message, `${found.remedy}; ${naming.until}`);
    return {
      credentials: [],
      findings: [problem],
      dependencies,
      certificate: missingCertificate(key),
    };
  }
  const pair = keyPairOf(found.object);
  if (!pair.ok) {
    const message = `cannot use Secret ${key}: ${pair.message}`;
    const remedy = `write a certificate and its key as PEM, not encrypted, ${KEY_KINDS}; ${naming.until}`;
    const problem = finding(naming, 'error', message, remedy);
    return {
      credentials: [],
      findings: [problem],
      dependencies,
      certificate: missingCertificate(key),
    };
  }
  const { certificate, credential } = pair.pair;
  const findings = oddities(naming, key, pair.pair);
  return { credentials: [credential], findings, dependencies, certificate };
}

export type FoundSecret =
  | { readonly object: SecretObject }
  /** To follow the name of an annotation, and what to do. */
  | { readonly message: string; readonly remedy: string };

// oxlint-disable-next-line max-params -- a store, who may read in it, and a name
export function find(
  store: StoreView,
  secretNamespaces: SecretContext['secretNamespaces'],
  namespace: string,
  name: string,
): FoundSecret {
  const what = `Secret ${namespace}/${name}`;
  if (secretNamespaces?.has(namespace) === false)
    return {
      message: `names ${what}, and the controller has no right to read Secrets of namespace ${namespace}`,
      remedy: `give it the Role ${SECRETS_ROLE} there: add ${namespace} to controller.secretNamespaces of the chart`,
    };
  const object = store.get('Secret', namespace, name);
  if (object?.type === TLS_SECRET_TYPE) return { object };
  const why =
    object === undefined
      ? `which is not there, or not of type ${TLS_SECRET_TYPE}`
      : `which is not of type ${TLS_SECRET_TYPE}`;
  return { message: `names ${what}, ${why}`, remedy: `create it with this type` };
}

function oddities(naming: Naming, key: string, { oddities: odd, purposes }: KeyPair) {
  const isOther = purposes.length > 0 && !purposes.includes(naming.purpose);
  const all = isOther
    ? [...odd, `is not for ${naming.of} by its extended key usage: most will not believe it`]
    : odd;
  return all.map((each) =>
    finding(naming, 'warning', `names Secret ${key}, which ${each}`, 'issue another certificate'),
  );
}

function unreadable(ref: ObjectRef, said: Annotation, until: string): ObjectProblem {
  const naming = { ref, said, until, purpose: '', of: '' };
  const remedy = `write ${said.row.type.name}; ${until}`;
  return finding(naming, 'error', 'does not name a Secret', remedy);
}

// oxlint-disable-next-line max-params -- of a private function
function finding(
  { ref, said }: Naming,
  severity: ObjectProblem['severity'],
  message: string,
  remedy: string,
): ObjectProblem {
  return {
    severity,
    ref,
    field: said.field,
    value: said.text,
    message: `${said.row.name} ${message}`,
    remedy,
  };
}
