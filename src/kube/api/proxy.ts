/** The connections to the API server, through the proxy of a kubeconfig (`proxy-url`) where there is one. */

import type { Agent as PlainAgent, ClientRequestArgs } from 'node:http';
import type { Agent as TlsAgent, RequestOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { MeshError } from '../../base/error.ts';

// As in exchange.ts: importing these modules costs some 10 MB.
const { Agent: HttpAgent } = process.getBuiltinModule('node:http');
const { Agent: HttpsAgent } = process.getBuiltinModule('node:https');

export interface Agents {
  readonly http: PlainAgent;
  readonly https: TlsAgent;
}

/** Connections that are kept open without a request. */
const IDLE_CONNECTIONS_MAX = 8;
/** Connections at a time; a watch has one for itself, and what goes beyond waits. */
const CONNECTIONS_MAX = 1_024;
/** Shorter than the API server keeps them (90 s), so that a request seldom meets one that just closes. */
const IDLE_CONNECTION_MS = 45_000;
/** The first probe of a silent connection; nine more follow a second apart, then it is cut. */
const KEEP_ALIVE_MS = 15_000;
/** From the first byte to a SOCKS proxy to its agreement. */
const SOCKS_TIMEOUT_MS = 30_000;

const SETTINGS = {
  keepAlive: true,
  keepAliveMsecs: KEEP_ALIVE_MS,
  maxSockets: CONNECTIONS_MAX,
  maxFreeSockets: IDLE_CONNECTIONS_MAX,
  timeout: IDLE_CONNECTION_MS,
} as const;

/** What client-go takes; host names are resolved by the proxy. */
const SCHEMES: ReadonlySet<string> = new Set(['http:', 'https:', 'socks5:', 'socks5h:']);

/** Throws a `MeshError` that begins with `action` and does not quote a password. */
export function parseProxyUrl(text: string, action: string): URL {
  const url = URL.parse(text);
  if (url !== null && SCHEMES.has(url.protocol) && url.hostname !== '') return url;
  throw new MeshError(
    'invalid_input',
    `${action}: write an address such as http://proxy:3128, https://proxy:3129 or socks5://proxy:1080`,
  );
}

/** A proxy without the password that its URL may hold. */
export function proxyName({ protocol, host }: URL): string {
  return `${protocol}//${host}`;
}

export function makeAgents(proxy: URL | undefined): Agents {
  if (proxy === undefined) {
    return { http: new HttpAgent(SETTINGS), https: new HttpsAgent(SETTINGS) };
  }
  if (proxy.protocol.startsWith('socks')) {
    return { http: new SocksHttpAgent(proxy), https: new SocksHttpsAgent(proxy) };
  }
  const settings = { ...SETTINGS, proxyEnv: { HTTP_PROXY: proxy.href, HTTPS_PROXY: proxy.href } };
  return { http: new HttpAgent(settings), https: new HttpsAgent(settings) };
}

type Done = (error: Error | null, socket: Duplex) => void;

class SocksHttpAgent extends HttpAgent {
  readonly #proxy: URL;

  constructor(proxy: URL) {
    super(SETTINGS);
    this.#proxy = proxy;
  }

  override createConnection(target: ClientRequestArgs, done?: Done): undefined {
    void settle(socksConnect(this.#proxy, target), done);
  }
}

class SocksHttpsAgent extends HttpsAgent {
  readonly #proxy: URL;

  constructor(proxy: URL) {
    super(SETTINGS);
    this.#proxy = proxy;
  }

  override createConnection(target: RequestOptions, done?: Done): undefined {
    const connecting = socksConnect(this.#proxy, target);
    const overTls = (socket: Socket): Socket =>
      tlsConnect({ ...(target as ConnectionOptions), socket });
    void settle(connecting.then(overTls), done);
  }
}

async function settle(connecting: Promise<Socket>, done: Done | undefined): Promise<void> {
  let socket: Socket;
  try {
    socket = await connecting;
  } catch (error) {
    // Node's type has a socket in any case.
    (done as ((error: unknown) => void) | undefined)?.(error);
    return;
  }
  done?.(null, socket);
}

async function socksConnect(proxy: URL, target: ClientRequestArgs): Promise<Socket> {
  // Loaded only here: few clusters are behind such a proxy.
  const { SocksClient } = await import('socks');
  const connecting = SocksClient.createConnection({
    proxy: {
      type: 5,
      host: proxy.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: proxy.port === '' ? 1080 : Number(proxy.port),
      ...(proxy.username === ''
        ? {}
        : {
            userId: decodeURIComponent(proxy.username),
            password: decodeURIComponent(proxy.password),
          }),
    },
    command: 'connect',
    destination: { host: target.host ?? 'localhost', port: Number(target.port ?? 443) },
    timeout: SOCKS_TIMEOUT_MS,
  });
  const { socket } = await connecting.catch((error: unknown) => {
    // The error of the library holds the password, so it is not kept as the cause.
    const { message } = MeshError.from(error);
    throw Object.assign(new Error(message), { code: 'ERR_PROXY_TUNNEL' });
  });
  return socket.setKeepAlive(true, KEEP_ALIVE_MS);
}
