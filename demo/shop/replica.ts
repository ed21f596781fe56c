/** One replica of one service: a real HTTP server on the Pod's address that can be broken and healed. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Clock } from '../../src/base/clock.ts';
import type { Random } from '../../src/base/random.ts';
import { behaviourOf, isSlow, type Behaviour } from './behaviour.ts';
import type { ShopPod } from './manifest.ts';

/**
 * `refuse` stops listening and cuts what is open, `fail` answers 503, `hang` takes requests and never answers,
 * `slow` answers in its slow time (600 ms when it has none).
 */
export type Mode = 'well' | 'refuse' | 'fail' | 'hang' | 'slow';

export interface ReplicaCounts {
  readonly requests: number;
  /** Answered with 503. */
  readonly failed: number;
}

export interface ReplicaOptions {
  readonly pod: ShopPod;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether slow spells come by themselves. */
  readonly spells: boolean;
}

export class Replica {
  readonly pod: ShopPod;
  readonly #options: ReplicaOptions;
  readonly #behaviour: Behaviour;
  readonly #startedMs: number;
  #server: Server | undefined;
  #mode: Mode = 'well';
  #requests = 0;
  #failed = 0;

  constructor(options: ReplicaOptions) {
    this.pod = options.pod;
    this.#options = options;
    this.#behaviour = behaviourOf(options.pod.args);
    this.#startedMs = options.clock.nowMs();
  }

  counts(): ReplicaCounts {
    return { requests: this.#requests, failed: this.#failed };
  }

  /** Rejects with the system error when the address cannot be bound. */
  async listen(): Promise<void> {
    const server = createServer((request, response) => this.#answer(request, response));
    server.keepAliveTimeout = 300_000;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.pod.port, this.pod.ip, 1024, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#server = server;
  }

  /** Does nothing when it is closed already. */
  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  async become(mode: Mode): Promise<void> {
    this.#mode = mode;
    if (mode === 'refuse') await this.close();
    else if (this.#server === undefined) await this.listen();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    this.#requests++;
    if (this.#mode === 'hang') return;
    const { failEvery } = this.#behaviour;
    const isByNature = failEvery > 0 && this.#requests % failEvery === 0;
    const status = this.#mode === 'fail' || isByNature ? 503 : 200;
    if (status === 503) this.#failed++;
    this.#options.clock.after(this.#answerMs(), () => this.#send(response, status));
  }

  #answerMs(): number {
    const { clock, random, spells } = this.#options;
    const isSpell = spells && isSlow(this.#behaviour, clock.nowMs() - this.#startedMs);
    const mean =
      this.#mode === 'slow' || isSpell ? this.#behaviour.slowMs || 600 : this.#behaviour.answerMs;
    return mean * (0.7 + 0.6 * random.next());
  }

  #send(response: ServerResponse, status: number): void {
    if (response.destroyed) return;
    const { name, labels } = this.pod;
    const { release } = this.#behaviour;
    const says = release === '' ? name : `${name} (${release})`;
    const text =
      status === 200 ? `${labels['app'] ?? name}: hello from ${says}\n` : `${says}: no\n`;
    response.writeHead(status, {
      'content-type': 'text/plain',
      'content-length': Buffer.byteLength(text),
      'x-served-by': name,
    });
    response.end(text);
  }
}
