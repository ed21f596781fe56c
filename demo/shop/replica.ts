/** One replica of one service: a real server on the Pod's address that can be broken and healed. */

import type { Clock } from '../../src/base/clock.ts';
import type { Random } from '../../src/base/random.ts';
import { behaviourOf, isSlow, type Behaviour } from './behaviour.ts';
import type { ShopPod } from './manifest.ts';
import { type Answer, openServer, type ReplicaServer } from './servers.ts';

/**
 * `refuse` stops listening and cuts what is open, `fail` answers 503, `hang` takes requests and never answers,
 * `slow` answers in its slow time (600 ms when it has none).
 */
export type Mode = 'well' | 'refuse' | 'fail' | 'hang' | 'slow';

export interface ReplicaCounts {
  readonly requests: number;
  /** Answered with 503, or what is that in another protocol. */
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
  #server: ReplicaServer | undefined;
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
    const { name, labels } = this.pod;
    const { release, speaks } = this.#behaviour;
    const opened = openServer(speaks, {
      app: labels['app'] ?? name,
      name,
      release,
      clock: this.#options.clock,
      next: () => this.#next(),
    });
    const { server } = opened;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.pod.port, this.pod.ip, 1024, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#server = opened;
  }

  /** Does nothing when it is closed already. */
  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    await new Promise<void>((resolve) => {
      server.server.close(() => resolve());
      server.cut();
    });
  }

  async become(mode: Mode): Promise<void> {
    this.#mode = mode;
    if (mode === 'refuse') await this.close();
    else if (this.#server === undefined) await this.listen();
  }

  #next(): Answer | null {
    this.#requests++;
    if (this.#mode === 'hang') return null;
    const { failEvery } = this.#behaviour;
    const isByNature = failEvery > 0 && this.#requests % failEvery === 0;
    const isGood = this.#mode !== 'fail' && !isByNature;
    if (!isGood) this.#failed++;
    return { isGood, afterMs: this.#answerMs() };
  }

  #answerMs(): number {
    const { clock, random, spells } = this.#options;
    const isSpell = spells && isSlow(this.#behaviour, clock.nowMs() - this.#startedMs);
    const mean =
      this.#mode === 'slow' || isSpell ? this.#behaviour.slowMs || 600 : this.#behaviour.answerMs;
    return mean * (0.7 + 0.6 * random.next());
  }
}
