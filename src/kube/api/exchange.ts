/** One request to the API server and its answer: bounded in time and size, ended exactly once. */

import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import type { Clock, Timer } from '../../base/clock.ts';
import { MeshError, codeOf } from '../../base/error.ts';
import type { Access } from './credentials.ts';
import { proxyName } from './proxy.ts';
import type { Agents } from './proxy.ts';

// Importing these modules would also load what they only offer lazily (fetch, WebSocket): some 10 MB.
const { request: httpRequest } = process.getBuiltinModule('node:http');
const { request: httpsRequest } = process.getBuiltinModule('node:https');

/** Bytes of one answer; lists come in pages. */
const RESPONSE_BYTES_MAX = 134_217_728;
/** Bytes of a request: the API server takes no object beyond 3 MiB. */
const REQUEST_BYTES_MAX = 3_145_728;
/** Bytes of an answer's head. */
const HEAD_BYTES_MAX = 65_536;

export interface ExchangeOptions {
  readonly server: string;
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
  readonly body?: unknown;
  readonly contentType?: string | undefined;
  /** To the end of the body, unless `watchSilence` takes over. */
  readonly timeoutMs: number;
  readonly signals: readonly AbortSignal[];
  readonly access: Access;
  readonly agents: Agents;
  /** Where the server is reached through; undefined: directly. */
  readonly proxy: URL | undefined;
  readonly clock: Clock;
  readonly userAgent: string;
}

/** An answer is longer than it may be; smaller pages may help. */
export class TooLargeError extends MeshError {}

export class Exchange {
  readonly #action: string;
  /** The server, and its proxy, in quotes. */
  readonly #server: string;
  readonly #isProxied: boolean;
  readonly #clock: Clock;
  readonly #request: ClientRequest;
  readonly #signals: readonly AbortSignal[];
  readonly #abort: () => void;
  #response: IncomingMessage | null = null;
  #timer: Timer | null = null;
  #heardAtMs = 0;
  /** Why we cut it ourselves. */
  #cause: unknown = null;

  private constructor(options: ExchangeOptions, request: ClientRequest) {
    this.#action = `Cannot ${options.method} "${options.path}"`;
    const { server, proxy } = options;
    this.#server = `"${server}"${proxy === undefined ? '' : ` through the proxy "${proxyName(proxy)}"`}`;
    this.#isProxied = proxy !== undefined;
    this.#clock = options.clock;
    this.#request = request;
    this.#signals = options.signals;
    this.#abort = () => this.#cut(this.#signals.find(({ aborted }) => aborted)?.reason);
    for (const signal of options.signals) signal.addEventListener('abort', this.#abort);
    const { timeoutMs } = options;
    this.#timer = options.clock.after(timeoutMs, () =>
      this.#cut(this.#late(`no answer from ${this.#server} in ${timeoutMs} ms`)),
    );
  }

  /** Resolves with the head of the answer, whatever its status. Throws a `MeshError`, or the reason of a signal. */
  static async open(options: ExchangeOptions): Promise<Exchange> {
    for (const signal of options.signals) signal.throwIfAborted();
    const body = options.body === undefined ? null : encode(options);
    const request = start(options, body?.length ?? 0);
    const exchange = new Exchange(options, request);
    try {
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
      request.on('error', reject);
      request.on('response', resolve);
      request.end(body ?? undefined);
      exchange.#response = await promise;
      return exchange;
    } catch (error) {
      exchange.end();
      throw exchange.#explain(error);
    }
  }

  get status(): number {
    return this.#response?.statusCode ?? 0;
  }

  header(name: string): string {
    const value = this.#response?.headers[name];
    return typeof value === 'string' ? value : '';
  }

  /** From now on only silence of this length cuts it. */
  watchSilence(silenceMs: number): void {
    this.#timer?.cancel();
    this.#heardAtMs = this.#clock.nowMs();
    const look = (delayMs: number): void => {
      this.#timer = this.#clock.after(delayMs, () => {
        const silentMs = this.#clock.nowMs() - this.#heardAtMs;
        if (silentMs < silenceMs) look(silenceMs - silentMs);
        else this.#cut(this.#late(`${this.#server} was silent for ${silenceMs} ms`));
      });
    };
    look(silenceMs);
  }

  /** The body as it comes; throws when it breaks off. */
  async *chunks(): AsyncGenerator<Buffer, void, undefined> {
    if (this.#response === null) return;
    try {
      for await (const chunk of this.#response) {
        this.#heardAtMs = this.#clock.nowMs();
        yield chunk as Buffer;
      }
    } catch (error) {
      throw this.#explain(error);
    }
    if (!this.#response.complete) throw this.#explain(new Error('the answer broke off'));
  }

  /** The whole body, at most 128 MiB. */
  async text(): Promise<string> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of this.chunks()) {
      bytes += chunk.length;
      if (bytes > RESPONSE_BYTES_MAX) {
        throw new TooLargeError(
          'invalid_input',
          `${this.#action}: the answer is longer than ${RESPONSE_BYTES_MAX} bytes`,
        );
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  }

  /** The body as JSON; undefined when there is none. */
  async json(): Promise<unknown> {
    const text = await this.text();
    if (text === '') return undefined;
    try {
      return JSON.parse(text);
    } catch {
      // How it begins, but not the error of the parser: that quotes what stands where it gave up, and it may be a Secret.
      throw new MeshError(
        'invalid_input',
        `${this.#action}: the answer of ${this.#server} is not JSON but "${text.slice(0, 60)}"; is it an API server?`,
      );
    }
  }

  /** Gives the connection back when the body was read to its end, else closes it. May be called again. */
  end(): void {
    this.#timer?.cancel();
    for (const signal of this.#signals) signal.removeEventListener('abort', this.#abort);
    // A request that is destroyed may still tell of an error, and nobody is left to hear it.
    this.#request.on('error', () => undefined);
    if (this.#response?.complete !== true) this.#request.destroy();
  }

  #cut(cause: unknown): void {
    this.#cause = cause;
    this.#request.destroy();
  }

  #late(why: string): MeshError {
    return new MeshError('connect_timeout', `${this.#action}: ${why}`);
  }

  #explain(thrown: unknown): unknown {
    if (this.#cause !== null) return this.#cause;
    if (thrown instanceof MeshError) return thrown;
    const told = thrown instanceof Error ? thrown.message : String(thrown);
    // Node's own advice is for who starts Node; ours follows.
    const detail = told.replace(/; if the root CA is installed locally.*/, '');
    const code = codeOf(thrown);
    return new MeshError(
      isCutOff(thrown) ? 'connection_reset' : code,
      `${this.#action} at ${this.#server}: ${detail}${remedyFor(thrown, this.#isProxied)}`,
      thrown,
    );
  }
}

/** A body that is read whatever it is: what explains a refusal. */
export async function readBody(exchange: Exchange): Promise<unknown> {
  const text = await exchange.text();
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function encode({ method, path, body }: ExchangeOptions): Buffer {
  const bytes = Buffer.from(JSON.stringify(body));
  if (bytes.length <= REQUEST_BYTES_MAX) return bytes;
  throw new MeshError(
    'invalid_input',
    `Cannot ${method} "${path}": the object has ${bytes.length} bytes, and Kubernetes takes ${REQUEST_BYTES_MAX}`,
  );
}

function start(options: ExchangeOptions, bytes: number): ClientRequest {
  const { access, agents, method } = options;
  const base = new URL(options.server);
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined) query.append(name, String(value));
  }
  const isTls = base.protocol === 'https:';
  const settings: RequestOptions = {
    method,
    protocol: base.protocol,
    hostname: base.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: base.port === '' ? (isTls ? 443 : 80) : Number(base.port),
    path: `${base.pathname.replace(/\/$/, '')}${options.path}${query.size === 0 ? '' : `?${query.toString()}`}`,
    headers: {
      ...access.headers,
      accept: 'application/json',
      'user-agent': options.userAgent,
      ...(options.body === undefined
        ? {}
        : {
            'content-type': options.contentType ?? 'application/json',
            'content-length': String(bytes),
          }),
    },
    maxHeaderSize: HEAD_BYTES_MAX,
  };
  return isTls
    ? httpsRequest({ ...settings, ...access.tls, agent: agents.https })
    : httpRequest({ ...settings, agent: agents.http });
}

function isCutOff(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  return (
    /socket hang up|aborted|broke off/.test(thrown.message) || codeOf(thrown) === 'connection_reset'
  );
}

const REMEDIES: Readonly<Record<string, string>> = {
  ECONNREFUSED: '; is the API server running?',
  ENOTFOUND: '; check the host name of the server',
  EAI_AGAIN: "; check the host name of the server and this machine's DNS",
  DEPTH_ZERO_SELF_SIGNED_CERT: '; give its authority as "certificate-authority"',
  SELF_SIGNED_CERT_IN_CHAIN: '; give its authority as "certificate-authority"',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: '; give its authority as "certificate-authority"',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: '; give its authority as "certificate-authority"',
  CERT_HAS_EXPIRED: '; renew the certificate of the API server, or check the clocks',
  ERR_TLS_CERT_ALTNAME_INVALID: '; set "tls-server-name" to a name in its certificate',
};

/** Behind a proxy, only the proxy is dialled and looked up from here. */
const CODES_OF_PROXY: ReadonlySet<string> = new Set([
  'ERR_PROXY_TUNNEL',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
const PROXY_REMEDY = '; check "proxy-url" of the kubeconfig, and the proxy';

function remedyFor(thrown: unknown, isProxied: boolean): string {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return '';
  const code = String(thrown.code);
  if (isProxied && CODES_OF_PROXY.has(code)) return PROXY_REMEDY;
  return REMEDIES[code] ?? '';
}
