/** What a load sent, and what became of it. Every request that fails is kept with what happened; nothing is tried again. */

/**
 * What callers speak. Callers of gRPC make calls of one message and of streams, in turn; those of TCP and WebSocket send lines, which come
 * back, and each line is a request.
 */
export type Spoken = 'http1' | 'http2' | 'grpc' | 'tcp' | 'websocket' | 'udp';

/** Said by the process of a load once all of it runs. */
export const RUNS = 'runs';
/** So many answers, also bad ones, until a load counts as running. */
const ANSWERS_MIN = 20;

export interface LoadOptions {
  readonly host: string;
  readonly port: number;
  /** Default http1. */
  readonly speaks?: Spoken;
  /** Connections that stay. */
  readonly keepAlive: number;
  /** Requests at a time on each of them, where they are of HTTP/2. Default 4. */
  readonly streams?: number;
  /** New connections a second, one request each. */
  readonly newPerSecond: number;
  /** Pause of a caller between two requests; 0 sends at once. */
  readonly thinkMs: number;
  /** A caller of UDP asks again without an answer for so long. Default 20 s, where none is to be lost. */
  readonly againMs?: number;
}

export interface Failed {
  readonly kind: 'keep-alive' | 'new';
  readonly what: string;
  /** Which one of the load, in the order in which they were opened. */
  readonly connection: number;
  /** Who had it, where endpoints say that: those of TCP do at once. Else ''. */
  readonly endpoint: string;
  /** Since the start of the load. */
  readonly atMs: number;
}

export interface LoadReport {
  readonly sent: number;
  readonly ok: number;
  readonly failed: readonly Failed[];
  readonly opened: number;
  /** Those that stay, by the endpoint that said its name. */
  readonly keptBy: Readonly<Record<string, number>>;
  /** Connections that stay which were closed with no request under way, and without a word. */
  readonly closedIdle: number;
  /** Answers with `Connection: close`, GOAWAY, or a goodbye, on connections that stay. */
  readonly closeAnnounced: number;
  /** Requests of HTTP/2 and TCP that came too late for their connection, and that clients send again on another one. */
  readonly unseen: number;
  /** Datagrams whose answer never came, while later ones were answered. */
  readonly lost: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export class Figures {
  readonly options: LoadOptions;
  readonly #startMs = performance.now();
  readonly #latencies: number[] = [];
  readonly #failed: Failed[] = [];
  readonly #keptBy: Record<string, number> = {};
  sent = 0;
  opened = 0;
  closedIdle = 0;
  closeAnnounced = 0;
  unseen = 0;
  lost = 0;
  /** Connections, or requests, that are under way. */
  busy = 0;
  stopping = false;

  constructor(options: LoadOptions) {
    this.options = options;
  }

  answered(tookMs: number): void {
    this.#latencies.push(tookMs);
  }

  /** Each connection that stays has been heard of, and some requests are over. */
  get isRunning(): boolean {
    const { keepAlive, speaks } = this.options;
    const over = this.#latencies.length + this.#failed.length;
    if (over < Math.max(ANSWERS_MIN, keepAlive)) return false;
    const named = Object.values(this.#keptBy).reduce((sum, count) => sum + count, 0);
    return named >= (speaks === 'tcp' || speaks === 'websocket' ? keepAlive : 0);
  }

  fail(kind: Failed['kind'], what: string, connection: number, endpoint = ''): void {
    const atMs = performance.now() - this.#startMs;
    this.#failed.push({ kind, what, connection, endpoint, atMs });
  }

  /** A connection that stays is there. */
  kept(endpoint: string): void {
    this.#keptBy[endpoint] = (this.#keptBy[endpoint] ?? 0) + 1;
  }

  report(): LoadReport {
    const latencies = this.#latencies.toSorted((a, b) => a - b);
    const at = (q: number): number => latencies[Math.floor(q * (latencies.length - 1))] ?? 0;
    return {
      sent: this.sent,
      ok: latencies.length,
      failed: this.#failed,
      opened: this.opened,
      keptBy: this.#keptBy,
      closedIdle: this.closedIdle,
      closeAnnounced: this.closeAnnounced,
      unseen: this.unseen,
      lost: this.lost,
      seconds: (performance.now() - this.#startMs) / 1_000,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
    };
  }
}
