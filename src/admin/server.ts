/** Health, readiness, metrics and the read-only API over HTTP, for this machine only unless told otherwise. */

import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Clock, systemClock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { Guard } from '../base/guard.ts';
import { type Log, silentLog } from '../base/log.ts';
import { LogThrottle } from '../base/log-throttle.ts';
import { slices } from '../base/slices.ts';
import { type Visitor, Visitors } from '../base/visitors.ts';
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
  /** Of the process; it counts defects. */
  readonly guard?: Guard;
}

/** Connections at a time; beyond it the source that has most loses its oldest idle one. */
export const CONNECTIONS_MAX = 128;
/** Answers that are being made and sent at a time; more get 503, probes aside. */
export const ANSWERS_MAX = 16;
/** Of these, to one source: one slow reader leaves room for others. */
export const SOURCE_ANSWERS_MAX = 8;
const HEAD_BYTES_MAX = 8_192;
const HEAD_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;
/** A reader that takes nothing for this long is cut off. */
const STALL_TIMEOUT_MS = 30_000;
/** How long `stop` waits for answers that are under way. */
const STOP_GRACE_MS = 1_000;

const TOO_MANY =
  'Too many connections to the admin API: closed an idle one of the source with the most connections';

const METHODS = 'GET, HEAD';

export class AdminServer {
  readonly #options: AdminOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #guard: Guard;
  readonly #server: Server;
  readonly #visitors: Visitors;
  readonly #bySocket = new WeakMap<Socket, Visitor>();
  /** Answers under way, by source. */
  readonly #answers = new Map<string, number>();

  constructor(options: AdminOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.#guard = options.guard ?? new Guard(this.#clock, this.#log);
    const evictions = new LogThrottle(this.#clock);
    this.#visitors = new Visitors(CONNECTIONS_MAX, (source) =>
      evictions.run((skipped) => this.#log.warn(TOO_MANY, { source, alsoClosed: skipped })),
    );
    this.#server = createServer(
      {
        maxHeaderSize: HEAD_BYTES_MAX,
        headersTimeout: HEAD_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: HEAD_TIMEOUT_MS,
      },
      this.#guard.wrap(
        'admin',
        (request: IncomingMessage, response: ServerResponse) => this.#begin(request, response),
        (_request, response) => response.destroy(),
      ),
    );
    this.#server.on(
      'connection',
      this.#guard.wrap(
        'admin',
        (socket: Socket) => this.#bySocket.set(socket, this.#visitors.enter(socket)),
        (socket) => socket.destroy(),
      ),
    );
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
    // What fails later is a single accept, for want of file descriptors: without a listener it would end the process.
    const refusals = new LogThrottle(this.#clock);
    this.#server.on('error', (error) =>
      refusals.run(() => this.#log.warn('Cannot accept a connection to the admin API', { error })),
    );
    const bound = this.#server.address();
    if (bound === null || typeof bound === 'string')
      throw new TypeError('the admin server has no address');
    return { address: bound.address, port: bound.port };
  }

  /** Closes all connections and listens again, where it did; does nothing before `start`. */
  async restart(): Promise<void> {
    const bound = this.#server.address();
    if (bound === null || typeof bound === 'string') return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
    this.#server.listen({ host: bound.address, port: bound.port });
    await once(this.#server, 'listening');
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

  #begin(request: IncomingMessage, response: ServerResponse): void {
    const visitor = this.#bySocket.get(request.socket);
    const source = visitor?.source ?? '';
    this.#answers.set(source, this.#answersTo(source) + 1);
    if (visitor !== undefined) {
      visitor.isBusy = true;
      this.#visitors.touch(visitor);
    }
    response.on('error', (error) => this.#log.debug('An admin caller went away', { error }));
    this.#serve(request, response, source)
      .catch((error: unknown) => {
        this.#guard.caught('admin', error);
        response.destroy();
      })
      .finally(() => {
        const left = this.#answersTo(source) - 1;
        if (left > 0) this.#answers.set(source, left);
        else this.#answers.delete(source);
        if (visitor !== undefined) visitor.isBusy = left > 0;
      });
  }

  async #serve(request: IncomingMessage, response: ServerResponse, source: string): Promise<void> {
    try {
      await this.#send(request, response, this.#answer(request, source));
    } catch (error) {
      this.#guard.caught('admin', error);
      if (response.headersSent) response.destroy();
      else {
        const failed = jsonError(
          500,
          'internal',
          'Cannot make this answer: a defect in maesh, the log has the stack',
        );
        await this.#send(request, response, failed);
      }
    }
  }

  #answersTo(source: string): number {
    return this.#answers.get(source) ?? 0;
  }

  #answer(request: IncomingMessage, source: string): Answer {
    const refusal = this.#refusal(request);
    if (refusal !== null) return refusal;
    const url = request.url ?? '';
    const cut = url.indexOf('?');
    const path = PATHS.get(cut < 0 ? url : url.slice(0, cut));
    if (path === undefined) {
      const message = `Cannot find ${quote(url)}: the paths are listed`;
      return jsonError(404, 'not_found', message, { paths: [...PATHS.keys()] });
    }
    const busy = path.isProbe ? null : this.#busy(source);
    if (busy !== null) {
      return { ...jsonError(503, 'too_busy', busy), headers: { 'retry-after': '1' } };
    }
    const filter = readFilter(cut < 0 ? '' : url.slice(cut + 1), path.parameters);
    if (!filter.ok) return jsonError(400, 'bad_query', filter.message);
    return path.answer(this.#options.view, filter.value);
  }

  /** Why there is no room for one more answer, which is counted already; null when there is. */
  #busy(source: string): string | null {
    let all = 0;
    for (const count of this.#answers.values()) all += count;
    if (all > ANSWERS_MAX) {
      return `Cannot make more than ${ANSWERS_MAX} answers at a time: try again in a second`;
    }
    if (this.#answersTo(source) > SOURCE_ANSWERS_MAX) {
      return `Cannot make more than ${SOURCE_ANSWERS_MAX} answers at a time to one address: try again in a second`;
    }
    return null;
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
