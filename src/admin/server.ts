/** Health, readiness, metrics and the read-only API over HTTP, for this machine only unless told otherwise. */

import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { type Clock, systemClock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { type Log, silentLog } from '../base/log.ts';
import { slices } from '../base/slices.ts';
import { type Answer, jsonError } from './answer.ts';
import { isHostAllowed, isLoopback } from './host-check.ts';
import { PATHS } from './paths.ts';
import { quote, readFilter } from './query.ts';
import type { AdminView } from './view.ts';

// `import 'node:http'` also loads what that module only offers lazily (fetch, WebSocket): some 10 MB.
const { createServer } = process.getBuiltinModule('node:http');

export interface AdminOptions {
  /** IP literal, or `localhost`. */
  readonly address: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Listen on an address that other machines reach, and answer to any Host. */
  readonly allowRemote: boolean;
  readonly view: AdminView;
  /** Names besides `localhost` that Host may have, lower case. */
  readonly hosts?: readonly string[];
  readonly clock?: Clock;
  readonly log?: Log;
}

/** Connections at a time; more are closed at once. */
const CONNECTIONS_MAX = 128;
/** Answers that are being made and sent at a time; more get 503, probes aside. */
export const ANSWERS_MAX = 16;
const HEAD_BYTES_MAX = 8_192;
const HEAD_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;
/** A reader that takes nothing for this long is cut off. */
const STALL_TIMEOUT_MS = 30_000;
/** How long `stop` waits for answers that are under way. */
const STOP_GRACE_MS = 1_000;

const METHODS = 'GET, HEAD';

export class AdminServer {
  readonly #options: AdminOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #server: Server;
  #answers = 0;

  constructor(options: AdminOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.#server = createServer(
      {
        maxHeaderSize: HEAD_BYTES_MAX,
        headersTimeout: HEAD_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: HEAD_TIMEOUT_MS,
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.setTimeout(STALL_TIMEOUT_MS);
  }

  /** Listens, and says where. Throws a `MeshError` with the way out when that is not possible. */
  async start(): Promise<{ address: string; port: number }> {
    const { address, port, allowRemote } = this.#options;
    if (!allowRemote && !isLoopback(address)) {
      throw new MeshError(
        'invalid_setting',
        `Cannot serve the admin API on "${address}": other machines reach it and may read the whole configuration; ` +
          'use 127.0.0.1, or give --admin-allow-remote',
      );
    }
    this.#server.listen({ host: address, port });
    try {
      await once(this.#server, 'listening');
    } catch (error) {
      throw MeshError.from(
        error,
        `Cannot serve the admin API on "${address}:${port}" (--admin gives another one)`,
      );
    }
    const bound = this.#server.address();
    if (bound === null || typeof bound === 'string')
      throw new TypeError('the admin server has no address');
    return { address: bound.address, port: bound.port };
  }

  /** Stops listening; answers under way get a second to finish. May be called twice, and without `start`. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const cut = this.#clock.after(STOP_GRACE_MS, () => this.#server.closeAllConnections());
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeIdleConnections();
    await closed;
    cut.cancel();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#answers += 1;
    response.on('error', (error) => this.#log.debug('An admin caller went away', { error }));
    try {
      await this.#send(request, response, this.#answer(request));
    } catch (error) {
      this.#log.error('Cannot answer an admin request', { path: request.url, error });
      if (response.headersSent) response.destroy();
      else {
        const failed = jsonError(
          500,
          'internal',
          'Cannot make this answer: a defect in maesh, the log has the stack',
        );
        await this.#send(request, response, failed);
      }
    } finally {
      this.#answers -= 1;
    }
  }

  #answer(request: IncomingMessage): Answer {
    const refusal = this.#refusal(request);
    if (refusal !== null) return refusal;
    const url = request.url ?? '';
    const cut = url.indexOf('?');
    const path = PATHS.get(cut < 0 ? url : url.slice(0, cut));
    if (path === undefined) {
      const message = `Cannot find ${quote(url)}: the paths are listed`;
      return jsonError(404, 'not_found', message, { paths: [...PATHS.keys()] });
    }
    if (!path.isProbe && this.#answers > ANSWERS_MAX) {
      const message = `Cannot make more than ${ANSWERS_MAX} answers at a time: try again in a second`;
      return { ...jsonError(503, 'too_busy', message), headers: { 'retry-after': '1' } };
    }
    const filter = readFilter(cut < 0 ? '' : url.slice(cut + 1), path.parameters);
    if (!filter.ok) return jsonError(400, 'bad_query', filter.message);
    return path.answer(this.#options.view, filter.value);
  }

  /** What is refused whatever the path; null when nothing speaks against an answer. */
  #refusal({ method, headers }: IncomingMessage): Answer | null {
    const { allowRemote, hosts } = this.#options;
    if (!allowRemote && !isHostAllowed(headers.host, hosts ?? [])) {
      const message = `Cannot answer to Host ${quote(headers.host ?? '')}: use an address or localhost`;
      return jsonError(403, 'host_not_allowed', message);
    }
    if (method !== 'GET' && method !== 'HEAD') {
      const message = `Cannot ${method ?? ''} here: the admin API only reads, with ${METHODS}`;
      return { ...jsonError(405, 'method_not_allowed', message), headers: { allow: METHODS } };
    }
    return null;
  }

  async #send(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
    const { body } = answer;
    const hasBody = 'content-length' in request.headers || 'transfer-encoding' in request.headers;
    response.writeHead(answer.status, {
      'content-type': answer.contentType,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
      ...(typeof body === 'string' ? { 'content-length': Buffer.byteLength(body) } : {}),
      // Nobody reads a body that comes with a GET: the connection ends rather than taking it for the next request.
      ...(hasBody ? { connection: 'close' } : {}),
      ...answer.headers,
    });
    if (request.method === 'HEAD') response.end();
    else if (typeof body === 'string') response.end(body);
    else await this.#stream(response, Symbol.iterator in body ? slices(body, this.#clock) : body);
  }

  /** Sends as fast as the reader takes it, and stops making more when the reader is gone. */
  async #stream(response: ServerResponse, body: AsyncIterable<string>): Promise<void> {
    for await (const slice of body) {
      if (response.destroyed) return;
      if (!response.write(slice)) await drained(response);
    }
    response.end();
  }
}

/** Resolves when the reader wants more, or is gone. */
function drained(response: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (response.destroyed) resolve();
  const settle = (): void => {
    response.off('drain', settle);
    response.off('close', settle);
    resolve();
  };
  response.on('drain', settle);
  response.on('close', settle);
  return promise;
}
