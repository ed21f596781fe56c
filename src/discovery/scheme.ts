/**
 * What is spoken to the endpoints of a backend, on the wire: one word, as in the first version. Readers of that one serve an HTTP port
 * only where the word is `http`, so none of them, however old, speaks plain HTTP/1.1 where something else is asked for.
 */

import type { Backend, EndpointProtocol } from '../model/service.ts';

const SCHEMES = {
  http: { isHttp2: false, tls: false },
  h2c: { isHttp2: true, tls: false },
  https: { isHttp2: false, tls: true },
  h2: { isHttp2: true, tls: true },
} as const;
type Scheme = keyof typeof SCHEMES;

/** A backend as it is sent. */
export type SentBackend = Omit<Backend, 'protocol' | 'tls'> & { readonly scheme: Scheme };

export function sentBackend({ protocol, tls, ...rest }: Backend): SentBackend {
  const [plain, secure] = protocol === 'http/2' ? (['h2c', 'h2'] as const) : HTTP1;
  return { ...rest, scheme: tls ? secure : plain };
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
): { readonly protocol: EndpointProtocol; readonly tls: boolean } {
  const { isHttp2, tls } = SCHEMES[scheme];
  if (portProtocol !== 'http') return { protocol: portProtocol as EndpointProtocol, tls };
  return { protocol: isHttp2 ? 'http/2' : 'http/1.1', tls };
}
