/** The URL that somebody asks about, taken apart as it is written: what the parser refuses must not be mended before. */

import { isIP } from 'node:net';

import { normalServerName } from '../model/server-name.ts';

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
  /** The server that the caller asks for in its TLS, '' for none; null where it speaks no TLS. */
  readonly serverName: string | null;
  /** It is about datagrams, which the mesh does not read either. */
  readonly udp: boolean;
  /** It opens a WebSocket. */
  readonly webSocket: boolean;
  /** The caller speaks TLS with the proxy, or does not; null where the scheme leaves that open. */
  readonly secure: boolean | null;
}

const HTTP_PORT = 80;
const HTTPS_PORT = 443;
const SECURE: ReadonlySet<string> = new Set(['https', 'wss']);
const WEB_SOCKET: ReadonlySet<string> = new Set(['ws', 'wss']);
/** They leave open whether the caller speaks TLS. */
const OPEN: ReadonlySet<string> = new Set(['', 'grpc', 'tcp', 'tls', 'udp']);
/** The schemes, with the form of their targets: of gRPC it is a service and a method, of a connection nothing. */
const FORMS: ReadonlyMap<string, RegExp> = new Map([
  ['http', /^/],
  ['https', /^/],
  ['ws', /^/],
  ['wss', /^/],
  ['grpc', /^\/[^/?]+\/[^/?]+$/],
  ['tcp', /^\/$/],
  ['tls', /^\/$/],
  ['udp', /^\/$/],
]);
const PLAIN: ReadonlySet<string> = new Set(['tcp', 'tls', 'udp']);
/** Scheme, host, port, path with query; a fragment is not sent. */
const FORM =
  /^(?:([a-z]+):\/\/)?((?:[^:/?#[\]]*@)?\[[^\]/?#]*\]|[^:/?#]+)(?::(\d{1,5}))?([/?][^#]*)?(?:#.*)?$/i;

/**
 * Null for what is no such URL. The scheme may be left out, and the port for HTTP and gRPC. The server name of TLS may stand before
 * the host, as in `tls://a.example@web.shop.maesh:443`; without it, it is the host, as clients have it.
 */
export function parseAskedUrl(url: string): AskedUrl | null {
  const match = FORM.exec(url);
  if (match === null) return null;
  const [, written = 'http', whole = '', portText = '', target = '/'] = match;
  const scheme = written.toLowerCase();
  const asked =
    scheme === 'tls' ? splitName(whole) : { host: whole, serverName: usualName(scheme, whole) };
  const plain = PLAIN.has(scheme);
  const usualPort = usualPortOf(scheme);
  const port = portOf(portText, plain, usualPort);
  if (asked === null || port === 0 || !isTarget(scheme, target)) return null;
  const { host, serverName } = asked;
  return {
    host: host.replaceAll(/[[\]]/g, ''),
    port,
    authority: port === usualPort ? host : `${host}:${port}`,
    target: target.startsWith('?') ? `/${target}` : target,
    grpc: scheme === 'grpc',
    plain,
    serverName,
    udp: scheme === 'udp',
    webSocket: WEB_SOCKET.has(scheme),
    secure: isSecure(match[1]),
  };
}

/** Null where the name is none. */
function splitName(whole: string): Pick<AskedUrl, 'host' | 'serverName'> | null {
  const at = whole.lastIndexOf('@');
  const host = whole.slice(at + 1);
  const said = at < 0 ? host : whole.slice(0, at);
  // An address is not sent as a name.
  const isNone = said === '' || (at < 0 && isIP(host.replaceAll(/[[\]]/g, '')) !== 0);
  const serverName = isNone ? '' : normalServerName(said);
  return serverName === null ? null : { host, serverName };
}

/** That clients of the scheme ask for: the host, unless it is an address. */
function usualName(scheme: string, host: string): string | null {
  if (!SECURE.has(scheme)) return null;
  return isIP(host.replaceAll(/[[\]]/g, '')) === 0 ? normalServerName(host) : '';
}

/** 0 for none. */
function portOf(text: string, plain: boolean, usual: number): number {
  const port = text === '' && !plain ? usual : Number(text);
  return port <= 65_535 ? port : 0;
}

function usualPortOf(scheme: string): number {
  return SECURE.has(scheme) ? HTTPS_PORT : HTTP_PORT;
}

function isSecure(written = ''): boolean | null {
  const scheme = written.toLowerCase();
  return OPEN.has(scheme) ? null : SECURE.has(scheme);
}

function isTarget(scheme: string, target: string): boolean {
  return FORMS.get(scheme)?.test(target) === true;
}
