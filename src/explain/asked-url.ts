/** The URL that somebody asks about, taken apart as it is written: what the parser refuses must not be mended before. */

export interface AskedUrl {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** Host and port for the Host field; without a port where it is that of the scheme. */
  readonly authority: string;
  /** Path and query, at least `/`. */
  readonly target: string;
  /** It is a call of gRPC. */
  readonly grpc: boolean;
  /** It is a connection whose bytes the mesh does not read: TCP, or TLS of the caller. */
  readonly plain: boolean;
  /** It opens a WebSocket. */
  readonly webSocket: boolean;
}

const HTTP_PORT = 80;
/** The schemes, with the form of their targets: of gRPC it is a service and a method, of a connection nothing. */
const FORMS: ReadonlyMap<string, RegExp> = new Map([
  ['http', /^/],
  ['ws', /^/],
  ['grpc', /^\/[^/?]+\/[^/?]+$/],
  ['tcp', /^\/$/],
  ['tls', /^\/$/],
]);
const PLAIN: ReadonlySet<string> = new Set(['tcp', 'tls']);
/** Scheme, host, port, path with query; a fragment is not sent. */
const FORM = /^(?:([a-z]+):\/\/)?(\[[^\]/?#]*\]|[^:/?#]+)(?::(\d{1,5}))?([/?][^#]*)?(?:#.*)?$/i;

/** Null for what is no such URL. The scheme may be left out, and the port for HTTP and gRPC. */
export function parseAskedUrl(url: string): AskedUrl | null {
  const match = FORM.exec(url);
  if (match === null) return null;
  const [, written = 'http', host = '', portText = '', target = '/'] = match;
  const scheme = written.toLowerCase();
  const plain = PLAIN.has(scheme);
  const port = portOf(portText, plain);
  if (port < 1 || port > 65_535 || !isTarget(scheme, target)) return null;
  return {
    host: host.replaceAll(/[[\]]/g, ''),
    port,
    authority: port === HTTP_PORT ? host : `${host}:${port}`,
    target: target.startsWith('?') ? `/${target}` : target,
    grpc: scheme === 'grpc',
    plain,
    webSocket: scheme === 'ws',
  };
}

/** 0 for none. */
function portOf(text: string, plain: boolean): number {
  return text === '' && !plain ? HTTP_PORT : Number(text);
}

function isTarget(scheme: string, target: string): boolean {
  return FORMS.get(scheme)?.test(target) === true;
}
