/** The annotations of TLS toward endpoints, and the values that only they have. */

import { CLIENT_SECRET_ROW } from './caller-tls.ts';
import { type AnnotationRow, plainRow, type Strict } from './row.ts';
import { choice, flag, type ValueType } from './value.ts';

export const DEFAULT_CA_KEY = 'ca.crt';

/** Where CAs are. */
export interface CaReference {
  readonly kind: 'configmap' | 'secret';
  /** Of an object beside the Service. */
  readonly name: string;
  readonly key: string;
}

const NAME = /^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/;
const KEY = /^[-._a-zA-Z0-9]{1,253}$/;
const HOST =
  /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*$/i;
const ADDRESS = /^[\d.]+$/;

/** Keys of a Secret that have CAs: in the second one, where a server has signed its certificate itself. */
const SECRET_KEYS: ReadonlySet<string> = new Set([DEFAULT_CA_KEY, 'tls.crt']);
const NO_CA = { ok: true, value: null } as const;

/** What cannot be read is a value, too: it must not lead to another CA than the one that was meant. */
export const caReference: ValueType<CaReference | null> = {
  name: 'configmap/NAME, configmap/NAME/KEY or secret/NAME',
  read(text) {
    const [kind, name = '', key = DEFAULT_CA_KEY, ...rest] = text.split('/');
    if (rest.length > 0 || !NAME.test(name)) return NO_CA;
    if (kind === 'configmap' && KEY.test(key)) return { ok: true, value: { kind, name, key } };
    const isCa = kind === 'secret' && SECRET_KEYS.has(key);
    return isCa ? { ok: true, value: { kind, name, key } } : NO_CA;
  },
  print: (value) => (value === null ? '' : `${value.kind}/${value.name}/${value.key}`),
};

const serverName: ValueType<string> = {
  name: 'a DNS name',
  read: (text) =>
    HOST.test(text) && !ADDRESS.test(text)
      ? { ok: true, value: text.toLowerCase() }
      : { ok: false, message: 'is not a DNS name' },
  print: (value) => value,
};

type Scheme = 'http' | 'h2c' | 'https' | 'h2';
export const scheme = choice<Scheme>('http', 'h2c', 'https', 'h2');

/** Only one that says `http` or `h2c` in other letters is plainly meant to be without TLS. */
export function strictScheme(text: string): Strict<Scheme> {
  const meant = scheme.read(text.toLowerCase());
  const value = meant.ok ? meant.value : 'https';
  return { value, until: `it is taken for ${value}` };
}

export const ENDPOINT_TLS_ROWS: readonly AnnotationRow[] = [
  plainRow('upstream-ca', 'upstreamCa', {
    type: caReference,
    default: { words: 'the public CAs that Node.js brings along' },
    text: 'CAs that the certificates of endpoints must come from, as PEM in a ConfigMap or Secret of the same namespace. A ConfigMap needs the label `maesh.dev/upstream-ca: "true"`, a Secret the type `kubernetes.io/tls`. Without a key it is `ca.crt`; of a Secret it may be `tls.crt` too. As long as it cannot be used, no endpoint is believed and calls get 502.',
    example: 'configmap/web-ca',
  }),
  plainRow('upstream-server-name', 'upstreamServerName', {
    type: serverName,
    default: { words: '`NAME.NAMESPACE.svc` of the Service' },
    text: 'Name that endpoints are asked for (SNI) and that their certificates must have.',
    example: 'web.example.com',
  }),
  plainRow('upstream-verify', 'upstreamVerify', {
    type: flag,
    default: true,
    strict: () => ({ value: true, until: 'certificates are verified' }),
    text: 'Whether certificates of endpoints are verified. `false` encrypts and believes anyone, which is reported as a problem. A value that cannot be read means `true`, on a port too.',
    example: 'false',
  }),
  CLIENT_SECRET_ROW,
];
