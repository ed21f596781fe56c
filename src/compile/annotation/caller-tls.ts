/** The annotations that name Secrets: TLS that callers speak with the proxy, and what it proves itself with to endpoints. */

import { CALLER_CERTIFICATES_MAX } from '../../model/credential.ts';
import { type AnnotationRow, plainRow } from './row.ts';
import { NONE, type ValueType } from './value.ts';

/** Names beside the Service; none: TLS is not wanted. Null: they cannot be read, which must not lead to less than was meant. */
export type SecretNames = readonly string[] | null;

const NAME = /^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/;

function secretNames(max: number, name: string): ValueType<SecretNames> {
  return {
    name: `${name}, or ${NONE}`,
    read(text) {
      if (text === NONE) return { ok: true, value: [] };
      const names = [...new Set(text.split(',', max + 1).map((part) => part.trim()))];
      const isGood = names.length <= max && names.every((each) => NAME.test(each));
      return { ok: true, value: isGood ? names : null };
    },
    print: (names) => (names === null || names.length === 0 ? NONE : names.join(',')),
  };
}

export const CALLER_TLS_ROWS: readonly AnnotationRow[] = [
  plainRow('tls-secret', 'tlsSecret', {
    type: secretNames(CALLER_CERTIFICATES_MAX, 'names of Secrets, separated by commas'),
    default: { words: 'callers speak no TLS with the mesh' },
    text: 'Callers speak TLS with the mesh, which shows the certificates of these Secrets (type `kubernetes.io/tls`, same namespace). With several, the name that a caller asks for (SNI) chooses; the first one is for all other callers. As long as none can be used, callers cannot connect. A port that only says TLS is then carried as HTTP. `none` lifts it for one port.',
    example: 'web-tls',
  }),
];

export const CLIENT_SECRET_ROW: AnnotationRow = plainRow(
  'upstream-client-secret',
  'upstreamClientSecret',
  {
    type: secretNames(1, 'the name of a Secret'),
    default: { words: 'no client certificate' },
    text: 'Secret (type `kubernetes.io/tls`, same namespace) with the certificate and key that the proxy proves itself with to endpoints. As long as it cannot be used, no endpoint is dialled and calls get 502. `none` lifts it for one port.',
    example: 'web-client',
  },
);
