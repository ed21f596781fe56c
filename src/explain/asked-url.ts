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
}

const SCHEMES: readonly string[] = ['http', 'grpc'];
const HTTP_PORT = 80;
/** What gRPC calls a method. */
const METHOD_PATH = /^\/[^/?]+\/[^/?]+$/;
/** Scheme, host, port, path with query; a fragment is not sent. */
const FORM = /^(?:([a-z]+):\/\/)?(\[[^\]/?#]*\]|[^:/?#]+)(?::(\d{1,5}))?([/?][^#]*)?(?:#.*)?$/i;

/** Null for what is no http or grpc URL. The scheme may be left out. */
export function parseAskedUrl(url: string): AskedUrl | null {
  const match = FORM.exec(url);
  if (match === null) return null;
  const [, written = 'http', host = '', portText = '', target = '/'] = match;
  const port = portText === '' ? HTTP_PORT : Number(portText);
  const isKnown = SCHEMES.includes(written.toLowerCase());
  if (!isKnown || port < 1 || port > 65_535) return null;
  const grpc = written.toLowerCase() === 'grpc';
  if (grpc && !METHOD_PATH.test(target)) return null;
  return {
    host: host.replaceAll(/[[\]]/g, ''),
    port,
    authority: port === HTTP_PORT ? host : `${host}:${port}`,
    target: target.startsWith('?') ? `/${target}` : target,
    grpc,
  };
}
