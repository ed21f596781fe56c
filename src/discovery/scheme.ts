/**
 * What is spoken to the endpoints of a backend, on the wire: one word, as in the first version. Readers of that one serve an HTTP port
 * only where the word is `http`, so none of them, however old, speaks plain HTTP/1.1 where something else is asked for.
 */

import { MeshError } from '../base/error.ts';
import {
  CA_BYTES_MAX,
  ENDPOINT_TRUSTS,
  type EndpointTls,
  serverNameOf,
} from '../model/endpoint-tls.ts';
import type { Backend, EndpointProtocol } from '../model/service.ts';
import { readClient } from './certificate-fields.ts';
import { asFields, textField } from './fields.ts';

const SCHEMES = {
  http: { isHttp2: false, tls: false },
  h2c: { isHttp2: true, tls: false },
  https: { isHttp2: false, tls: true },
  h2: { isHttp2: true, tls: true },
} as const;
type Scheme = keyof typeof SCHEMES;

/** A backend as it is sent. */
export type SentBackend = Omit<Backend, 'protocol'> & { readonly scheme: Scheme };

export function sentBackend({ protocol, ...rest }: Backend): SentBackend {
  const [plain, secure] = protocol === 'http/2' ? (['h2c', 'h2'] as const) : HTTP1;
  return { ...rest, scheme: rest.tls === null ? plain : secure };
}
const HTTP1 = ['http', 'https'] as const;

/** Others are refused, whatever their sender lets readers ignore: there is nothing else that may be spoken instead. */
export function isScheme(word: unknown): word is Scheme {
  return typeof word === 'string' && Object.hasOwn(SCHEMES, word);
}

/** `portProtocol` is that of the port before the backend; of one that is not HTTP the scheme tells TLS alone. */
export function spokenOf(
  scheme: Scheme,
  portProtocol: string,
): { readonly protocol: EndpointProtocol; readonly isTls: boolean } {
  const { isHttp2, tls: isTls } = SCHEMES[scheme];
  if (portProtocol !== 'http') return { protocol: portProtocol as EndpointProtocol, isTls };
  return { protocol: isHttp2 ? 'http/2' : 'http/1.1', isTls };
}

/**
 * Of a backend that the scheme says is spoken to in TLS; `service` is `namespace/name`. A controller that says no more than that has
 * none of the settings, and then what is verified most strictly holds.
 */
export function tlsOf(value: unknown, service: string): EndpointTls {
  const cut = Math.max(service.indexOf('/'), 0);
  const serverName = serverNameOf(service.slice(0, cut), service.slice(cut + 1));
  if (value === undefined || value === null)
    return { serverName, trust: 'public', ca: '', client: null };
  const fields = asFields(value, 'tls');
  const { trust } = fields;
  if (!isTrust(trust)) throw new MeshError('invalid_input', '"trust" is not known');
  const ca = textField(fields, 'ca', undefined, CA_BYTES_MAX);
  const client = readClient(fields['client']);
  return { serverName: textField(fields, 'serverName'), trust, ca, client };
}

/** Others are refused as a scheme is: whom to believe cannot be guessed. */
export function isTrust(word: unknown): word is EndpointTls['trust'] {
  return (ENDPOINT_TRUSTS as readonly unknown[]).includes(word);
}
