/**
 * Keeps the shadow Services what they should be. Level-triggered: an event only says which shadow to look at, and what is
 * done follows from what is there. Every replica takes in what it sees; only the leader, between `start()` and `stop()`,
 * writes. What a person changed or deleted by hand is put back as it was decided, from memory.
 */

import type { Clock, Timer } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { Problem } from '../model/service.ts';
import { ShadowQueue } from './shadow-queue.ts';
import { DEFAULT_SHADOW_TIMES } from './controller-options.ts';
import type { ControllerOptions, ShadowTimes } from './controller-options.ts';
import { isServedBy, ShadowLedger } from './ledger.ts';
import type { LedgerEntry } from './ledger.ts';
import { shadowName } from './names.ts';
import { UNDOUBTED_LOSS } from './placer.ts';
import { isBefore } from './progress.ts';
import { Quarantine } from './quarantine.ts';
import { Reconciler } from './reconciler.ts';
import { Reporter } from './reporter.ts';
import type { Damaged, Shadow } from './shadow.ts';
import { ShadowProblems } from './problems.ts';
import { isOfMesh, requirementsOf } from './wanted.ts';

/** Looks for what has become due. */
const TICK_MS = 250;
/** Looks at everything, in case an event was missed. */
const RESYNC_MS = 300_000;

export class ShadowController {
  readonly #options: ControllerOptions;
  readonly #times: ShadowTimes;
  readonly #clock: Clock;
  readonly #ledger: ShadowLedger;
  readonly #told: ShadowProblems;
  readonly #reporter: Reporter;
  readonly #queue: ShadowQueue;
  readonly #reconciler: Reconciler;
  /** Objects with our labels and a name that fits no Service. */
  readonly #foreign = new Map<string, Damaged>();
  #session: AbortController | null = null;
  #isAtWork = false;
  #timers: Timer[] = [];
  #doubtUntilMs = 0;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#times = { ...DEFAULT_SHADOW_TIMES, ...options.times };
    this.#clock = options.clock;
    const quarantine = new Quarantine(this.#clock, this.#times.quarantineMs);
    this.#ledger = new ShadowLedger(options.proxyPorts, quarantine);
    this.#told = new ShadowProblems(this.#clock);
    this.#reporter = new Reporter(this.#told, options);
    this.#queue = new ShadowQueue(this.#clock, (name) => this.#look(name));
    this.#reconciler = new Reconciler({
      options,
      times: this.#times,
      quarantine,
      ledger: this.#ledger,
      reporter: this.#reporter,
      queue: this.#queue,
      isDoubted: () => this.#doubtUntilMs !== 0,
    });
  }

  /** Begins to write, once the first compile and the first list of shadow Services are in. */
  start(): void {
    if (this.#session !== null) return;
    this.#session = new AbortController();
    this.#timers = [
      this.#clock.every(TICK_MS, () => this.#tick()),
      this.#clock.every(RESYNC_MS, () => this.#lookAtAll()),
    ];
    this.#begin();
  }

  /** Writes nothing from here on; requests under way are given up. */
  stop(): void {
    this.#session?.abort(
      new MeshError('unknown', 'Another replica writes the shadow Services now'),
    );
    this.#session = null;
    this.#isAtWork = false;
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
    this.#queue.close();
    this.#reconciler.release();
    this.#told.clear();
  }

  /** Of a leader; a follower knows of none. */
  problems(): readonly Problem[] {
    return this.#told.all();
  }

  /** Shadows that are looked at or wait for it. */
  get backlog(): number {
    return this.#queue.size;
  }

  /** A shadow Service as it is now, null when it is gone. To be called on every replica. */
  shadow(name: string, value: Shadow | Damaged | null): void {
    if (value?.kind === 'damaged' && value.isMisnamed) {
      this.#foreign.set(name, value);
      if (this.#isAtWork) this.#reporter.damaged({ name, service: '' }, value);
      return;
    }
    if (this.#foreign.delete(name)) this.#reporter.noCopy(name);
    const entry = value === null ? this.#ledger.get(name) : this.#ledger.ensure(name);
    if (entry === undefined) return;
    if (this.#isAtWork) this.#seeOthers(entry, value);
    else this.#follow(entry, value);
  }

  /** These Services came, changed or went: `PlacerOptions.onServices`. To be called on every replica. */
  compiled(keys: Iterable<string>): void {
    if (!this.#isAtWork) this.#begin();
    else for (const key of keys) this.#noteService(key);
  }

  /** The progress of a replica has changed. */
  progressed(): void {
    if (this.#queue.waiting.size === 0) return;
    const progress = this.#options.progressOfAll();
    for (const name of this.#queue.waiting) {
      const entry = this.#ledger.get(name);
      if (entry !== undefined && isServedBy(progress, entry)) this.#queue.soon(name);
    }
  }

  /** All agents can do something that they could not, or the other way round. */
  abilitiesChanged(): void {
    if (this.#isAtWork) this.#lookAtAll();
  }

  #begin(): void {
    if (this.#session === null || this.#isAtWork || !this.#options.placer.ready) return;
    this.#isAtWork = true;
    this.#queue.open();
    const nowMs = this.#clock.nowMs();
    for (const entry of this.#ledger.all()) {
      this.#ledger.adopt(entry);
      entry.failures = 0;
      entry.retryAtMs = 0;
      entry.settled = null;
      entry.waitSinceMs = nowMs;
      if (entry.damaged !== null) this.#reporter.damaged(entry, entry.damaged);
    }
    for (const [name, damaged] of this.#foreign)
      this.#reporter.damaged({ name, service: '' }, damaged);
    for (const key of this.#options.placer.services.keys()) this.#noteService(key);
    this.#doubtOrphans();
    this.#lookAtAll();
  }

  /** An API server that forgot is more likely than somebody who deleted most of the mesh while no leader looked. */
  #doubtOrphans(): void {
    const live = [...this.#ledger.all()].filter(
      ({ record }) => record !== null && record.state !== 'retired',
    );
    const orphans = live.filter((entry) => !this.#reconciler.isWanted(entry)).length;
    const isDoubted = orphans > UNDOUBTED_LOSS && orphans * 2 > live.length;
    const { lossMs } = this.#times;
    this.#doubtUntilMs = isDoubted ? this.#clock.nowMs() + lossMs : 0;
    if (isDoubted) this.#reporter.orphans(orphans, live.length, lossMs);
  }

  #tick(): void {
    this.#begin();
    if (!this.#isAtWork) return;
    const nowMs = this.#clock.nowMs();
    if (this.#doubtUntilMs !== 0 && this.#doubtUntilMs <= nowMs) {
      this.#doubtUntilMs = 0;
      this.#reporter.noOrphans();
      this.#lookAtAll();
    }
    this.#queue.tick();
    this.#told.sweep();
  }

  #lookAtAll(): void {
    for (const { name } of this.#ledger.all()) this.#queue.soon(name);
  }

  #noteService(key: string): void {
    const name = shadowName(key);
    const { placer, requirements = requirementsOf } = this.#options;
    const isWanted = isOfMesh(placer.services.get(key), requirements);
    if (this.#ledger.get(name) === undefined && !isWanted) return;
    this.#ledger.ensure(name).service = key;
    this.#queue.soon(name);
  }

  /** Somebody else decides: what they write is what was decided. */
  #follow(entry: LedgerEntry, value: Shadow | Damaged | null): void {
    this.#ledger.see(entry, value);
    this.#ledger.adopt(entry);
    if (value === null) this.#ledger.forgetGhosts((ghost) => this.#reconciler.isWanted(ghost));
  }

  #seeOthers(entry: LedgerEntry, value: Shadow | Damaged | null): void {
    if (value === null) {
      // Whether it is really gone is asked before it is made again: the news may be older than our last write.
      if (entry.object === null) return;
      this.#ledger.see(entry, null);
    } else {
      const object = value.kind === 'damaged' ? value.salvage : value;
      const last = entry.object?.resourceVersion ?? '';
      if (object.resourceVersion === last || isBefore(object.resourceVersion, last)) return;
      this.#reconciler.takeIn(entry, value);
    }
    this.#queue.soon(entry.name);
  }

  async #look(name: string): Promise<void> {
    const entry = this.#ledger.get(name);
    const signal = this.#session?.signal;
    if (entry !== undefined && signal !== undefined && this.#isAtWork)
      await this.#reconciler.look(entry, signal);
  }
}
