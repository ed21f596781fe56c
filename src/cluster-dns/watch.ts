/**
 * Follows the ConfigMaps of the cluster DNS, so that what somebody takes out is seen at once: a DNS server reads its
 * configuration after seconds to minutes, and what is written again by then is never missed by a caller.
 */

import type { Clock, Timer } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { KubeClient } from '../kube/api/client.ts';
import { Reflector } from '../kube/api/reflector.ts';

export interface ClusterDnsWatchOptions {
  readonly client: Pick<KubeClient, 'list' | 'stream'>;
  /** Where the DNS of the cluster runs; `kube-system` by default. */
  readonly namespace?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** One of them is not what it was: by our own hand too. */
  readonly onChange: () => void;
}

/** What comes within that time is one change: an editor may write more than once, and a manager all the time. */
const SOON_MS = 50;
/** Followed at a time; a cluster has one or two. */
const FOLLOWED_MAX = 10;

export class ClusterDnsWatch {
  readonly #options: ClusterDnsWatchOptions;
  readonly #reflectors = new Map<string, Reflector<true>>();
  #timer: Timer | null = null;
  #ending: Promise<unknown> = Promise.resolve();

  constructor(options: ClusterDnsWatchOptions) {
    this.#options = options;
  }

  /** Follows the ConfigMaps of these names from now on, and no others. */
  follow(names: readonly string[]): void {
    const wanted = new Set(names.slice(0, FOLLOWED_MAX));
    for (const name of this.#reflectors.keys()) if (!wanted.has(name)) this.#end(name);
    for (const name of wanted) {
      if (this.#reflectors.has(name)) continue;
      const reflector = this.#reflectorOf(name);
      this.#reflectors.set(name, reflector);
      reflector.start();
    }
  }

  /** The API server was reached by another. */
  nudge(): void {
    for (const reflector of this.#reflectors.values()) reflector.nudge();
  }

  /** Resolves when nothing is under way any more; `follow()` may be called again. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    for (const name of this.#reflectors.keys()) this.#end(name);
    await this.#ending;
  }

  #end(name: string): void {
    const reflector = this.#reflectors.get(name);
    this.#reflectors.delete(name);
    this.#ending = Promise.all([this.#ending, reflector?.stop()]);
  }

  #reflectorOf(name: string): Reflector<true> {
    const { client, namespace = 'kube-system', clock, random, log } = this.#options;
    const onChange = (): void => this.#soon();
    return new Reflector<true>({
      client,
      path: `/api/v1/namespaces/${namespace}/configmaps`,
      // Without it the rights, which are by name, do not suffice.
      fieldSelector: `metadata.name=${name}`,
      pick: () => true,
      sink: { replace: onChange, set: onChange, delete: onChange },
      clock,
      random,
      log,
    });
  }

  #soon(): void {
    if (this.#reflectors.size === 0) return;
    this.#timer ??= this.#options.clock.after(SOON_MS, () => {
      this.#timer = null;
      this.#options.onChange();
    });
  }
}
