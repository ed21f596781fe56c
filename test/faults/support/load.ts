/**
 * Full load from a process of its own: keep-alive callers and callers that open a connection for each request. Every
 * request is counted, and every one that fails is kept with what happened. Nothing is tried again.
 *
 * A caller honours `Connection: close`, and takes a connection that is closed between two requests for what it is.
 */

import net from 'node:net';

export interface LoadOptions {
  readonly host: string;
  readonly port: number;
  readonly keepAlive: number;
  /** New connections a second, one request each. */
  readonly newPerSecond: number;
  /** Pause of a keep-alive caller between two requests; 0 sends at once. */
  readonly thinkMs: number;
}

export interface Failed {
  readonly kind: 'keep-alive' | 'new';
  readonly what: string;
  /** Since the start of the load. */
  readonly atMs: number;
}

export interface LoadReport {
  readonly sent: number;
  readonly ok: number;
  readonly failed: readonly Failed[];
  readonly opened: number;
  /** Keep-alive connections that were closed with no request under way. */
  readonly closedIdle: number;
  /** Answers with `Connection: close` on keep-alive connections. */
  readonly closeAnnounced: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const REQUEST = 'GET /load HTTP/1.1\r\nHost: load\r\n\r\n';
const REQUEST_CLOSE = 'GET /load HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n';
const ANSWER_MS = 20_000;

class Load {
  readonly options: LoadOptions;
  readonly startMs = performance.now();
  readonly latencies: number[] = [];
  readonly failed: Failed[] = [];
  sent = 0;
  ok = 0;
  opened = 0;
  closedIdle = 0;
  closeAnnounced = 0;
  busy = 0;
  stopping = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LoadOptions) {
    this.options = options;
  }

  start(): void {
    for (let i = 0; i < this.options.keepAlive; i++) this.#connect('keep-alive');
    let due = 0;
    const startMs = performance.now();
    this.#timer = setInterval(() => {
      const target = ((performance.now() - startMs) / 1_000) * this.options.newPerSecond;
      for (; due < target; due++) this.#connect('new');
    }, 2);
  }

  async stop(): Promise<LoadReport> {
    this.stopping = true;
    clearInterval(this.#timer);
    while (this.busy > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    this.latencies.sort((a, b) => a - b);
    const at = (q: number): number =>
      this.latencies[Math.floor(q * (this.latencies.length - 1))] ?? 0;
    return {
      sent: this.sent,
      ok: this.ok,
      failed: this.failed,
      opened: this.opened,
      closedIdle: this.closedIdle,
      closeAnnounced: this.closeAnnounced,
      seconds: (performance.now() - this.startMs) / 1_000,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
    };
  }

  #connect(kind: Failed['kind']): void {
    const { host, port, thinkMs } = this.options;
    let text = '';
    let sentMs = 0;
    let done = false;
    this.busy++;
    this.opened++;
    const socket = net.connect({ host, port, noDelay: true });
    const timer = setTimeout(() => end('no answer in time'), ANSWER_MS);
    /** Ends this connection; `what` is how its request failed, '' when none was under way. */
    const end = (what: string): void => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      this.busy--;
      socket.destroy();
      const atMs = performance.now() - this.startMs;
      if (what !== '' && sentMs > 0) this.failed.push({ kind, what, atMs });
      else if (what !== '') this.closedIdle++;
      if (kind === 'keep-alive' && !this.stopping) this.#connect(kind);
    };
    const send = (): void => {
      if (done) return;
      if (this.stopping) return end('');
      sentMs = performance.now();
      timer.refresh();
      text = '';
      this.sent++;
      socket.write(kind === 'new' ? REQUEST_CLOSE : REQUEST);
    };
    const answered = (head: string): void => {
      const status = Number(head.slice(9, 12));
      if (status === 200) {
        this.ok++;
        this.latencies.push(performance.now() - sentMs);
        sentMs = 0;
      } else return end(`status ${status}: ${text.slice(head.length, head.length + 60)}`);
      if (kind === 'new') return end('');
      if (/\r\nconnection: close\r\n/i.test(head)) {
        this.closeAnnounced++;
        return end('');
      }
      if (thinkMs > 0) setTimeout(send, thinkMs);
      else setImmediate(send);
    };
    // A request that cannot even be sent has failed too.
    sentMs = performance.now();
    socket.on('connect', send);
    socket.on('data', (data) => {
      text += data.toString('latin1');
      const headEnd = text.indexOf('\r\n\r\n') + 4;
      if (headEnd < 4) return;
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? -1);
      if (length < 0) return end('no content length');
      if (text.length - headEnd >= length) answered(text.slice(0, headEnd));
    });
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    socket.on('end', () => end('closed'));
    socket.on('close', () => end('closed'));
  }
}

let load: Load | null = null;
process.on('message', (message: { start: LoadOptions } | 'stop') => {
  if (message !== 'stop') {
    load = new Load(message.start);
    load.start();
  } else {
    void load?.stop().then((report) => {
      process.send?.(report);
      process.disconnect?.();
    });
  }
});
process.on('disconnect', () => process.exit());
