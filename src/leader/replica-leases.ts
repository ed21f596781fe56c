/**
 * What the controllers tell each other: each keeps a Lease of its own that says how far its agents are, and watches those of the others. The
 * leader waits for the progress of all that live before it publishes a port.
 *
 * A replica lives until its Lease was silent for its duration, by our own clock and after a last look at the API server, so a watch that hangs
 * makes nobody dead. One that cannot write its Lease for so long is not waited for any more, though agents may still be connected to it.
 */

import type { Clock, Timer } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { hash32 } from '../base/hash.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { recordAt, textAt } from '../base/record.ts';
import { abilitiesOf } from '../discovery/abilities.ts';
import { orNull } from '../kube/api/api-error.ts';
import { FIELD_MANAGER, type KubeClient } from '../kube/api/client.ts';
import { Reflector } from '../kube/api/reflector.ts';
import { labelsOfPart, selectorOfPart } from '../model/names.ts';
import { isConflict, isNotFound, microTime, retryAfterMsOf } from '../kube/api/api.ts';
import { LEASE_MS, readLease, type Lease } from './lease.ts';
import { annotationsOf, isSame, readReport, type ReplicaReport } from './report.ts';

export interface Replica extends ReplicaReport {
  readonly identity: string;
}

export interface ReplicaLeasesOptions {
  readonly api: Pick<KubeClient, 'request' | 'list' | 'stream'>;
  readonly namespace: string;
  /** What the names of the Leases begin with: `maesh-controller`. */
  readonly name: string;
  readonly identity: string;
  /** The Pod of this replica, so that the Lease goes with it; null when it is not known. */
  readonly owner: { readonly name: string; readonly uid: string } | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The leader deletes Leases whose replica is gone. */
  readonly isLeader: () => boolean;
  /** `others()` is different from before. */
  readonly onChange: () => void;
}

interface Known extends Replica {
  readonly lease: Lease;
  /** Monotonic time at which its last change was seen. */
  readonly seenMs: number;
  readonly isLive: boolean;
  /** The API server did not answer when it was asked for the last time. */
  readonly wasAway: boolean;
}

/** A Lease is written at most this often, and at least every RENEW_MS. */
const WRITE_MS = 200;
const RENEW_MS = 5_000;
/** The wait after a failed write; it doubles with each further one. */
const RETRY_MS = 200;
const RETRY_MS_MAX = 2_000;
const SWEEP_MS = 1_000;
const REQUEST_TIMEOUT_MS = 4_000;
/** Other replicas that are looked at; a Deployment has three, twice that while it is rolled out. */
const REPLICAS_MAX = 64;
/** Characters of the name of an object. */
const NAME_LENGTH_MAX = 253;

export class ReplicaLeases {
  readonly #options: ReplicaLeasesOptions;
  readonly #collection: string;
  readonly #name: string;
  readonly #reflector: Reflector<Lease>;
  readonly #abort = new AbortController();
  /** By the name of the Lease. */
  readonly #known = new Map<string, Known>();
  #report: ReplicaReport = { progress: '', agents: 0, abilities: abilitiesOf([]), troubles: [] };
  /** What the API server has; null before the first write, and after one that failed. */
  #written: ReplicaReport | null = null;
  #sentMs = -Infinity;
  #failures = 0;
  #askedMs = 0;
  #writing: Promise<void> | null = null;
  #looking: Promise<void> | null = null;
  #writeTimer: Timer | null = null;
  #sweepTimer: Timer | null = null;
  readonly #firstWrite = Promise.withResolvers<void>();
  readonly #firstList = Promise.withResolvers<void>();

  constructor(options: ReplicaLeasesOptions) {
    const { api, namespace, name, identity, clock, random, log } = options;
    this.#options = options;
    this.#collection = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
    this.#name = leaseName(name, identity);
    this.#reflector = new Reflector<Lease>({
      client: api,
      path: this.#collection,
      labelSelector: selectorOfPart('replica'),
      pick: readLease,
      sink: {
        replace: (leases) => this.#replace(leases),
        set: (lease) => this.#change(() => this.#see(lease)),
        delete: (key) => this.#change(() => this.#known.delete(key.name)),
      },
      clock,
      random,
      log,
      onSynced: () => this.#firstList.resolve(),
    });
  }

  /** Resolves when the others can see this replica and it knows them. Start once. */
  async start(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    this.#reflector.start();
    this.#sweepTimer = this.#options.clock.every(SWEEP_MS, () => this.#sweep());
    this.#schedule();
    await Promise.all([this.#firstWrite.promise, this.#firstList.promise]);
  }

  /** Tells the others; what is told in quick succession is written as one. */
  report(report: ReplicaReport): void {
    this.#report = report;
    if (this.#sweepTimer !== null) this.#schedule();
  }

  /** The other replicas that live, by their identity. */
  others(): readonly Replica[] {
    const live = [...this.#known.values()].filter(({ isLive }) => isLive);
    return live
      .map(({ identity, progress, agents, abilities, troubles }) => ({
        identity,
        progress,
        agents,
        abilities,
        troubles,
      }))
      .toSorted((a, b) => (a.identity < b.identity ? -1 : 1));
  }

  /** The API server was reached by another. */
  nudge(): void {
    this.#reflector.nudge();
  }

  /** Takes the own Lease away, so that nobody waits for this replica. Also settles a `start()` that still waits. */
  async stop(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    // It never started: there is nothing to take away.
    if (this.#sweepTimer === null) return;
    this.#writeTimer?.cancel();
    this.#sweepTimer?.cancel();
    await Promise.all([this.#writing, this.#looking, this.#reflector.stop()]);
    this.#firstWrite.resolve();
    this.#firstList.resolve();
    const path = `${this.#collection}/${this.#name}`;
    try {
      await this.#options.api.request({ method: 'DELETE', path, timeoutMs: REQUEST_TIMEOUT_MS });
    } catch (error) {
      if (isNotFound(error)) return;
      this.#options.log.debug('Cannot delete the Lease of this replica', {
        error: MeshError.from(error),
      });
    }
  }

  // The own Lease

  #schedule(): void {
    if (this.#writing !== null || this.#abort.signal.aborted) return;
    this.#writeTimer?.cancel();
    const nowMs = this.#options.clock.nowMs();
    const delayMs = Math.max(this.#sentMs + this.#intervalMs() - nowMs, 0);
    if (delayMs > 0) this.#writeTimer = this.#options.clock.after(delayMs, () => this.#begin());
    else this.#begin();
  }

  /** From the last write to the next one. */
  #intervalMs(): number {
    if (this.#failures > 0) {
      const retryMs = Math.min(RETRY_MS * 2 ** (this.#failures - 1), RETRY_MS_MAX);
      return Math.max(retryMs * (0.5 + this.#options.random.next()), this.#askedMs);
    }
    return isSame(this.#written, this.#report) ? RENEW_MS : WRITE_MS;
  }

  #begin(): void {
    this.#writing = this.#write().finally(() => {
      this.#writing = null;
      this.#schedule();
    });
  }

  async #write(): Promise<void> {
    const { api, clock, log } = this.#options;
    const report = this.#report;
    this.#sentMs = clock.nowMs();
    try {
      // Nobody else writes it, so there is no version to respect: server-side apply makes it or changes it. The end waits for
      // the answer: a write that was given up could still arrive, after the Lease was deleted.
      await api.request({
        method: 'PATCH',
        path: `${this.#collection}/${this.#name}`,
        query: { fieldManager: FIELD_MANAGER, force: true },
        contentType: 'application/apply-patch+yaml',
        body: this.#render(report),
        timeoutMs: REQUEST_TIMEOUT_MS,
      });
      this.#written = report;
      this.#failures = 0;
      this.#firstWrite.resolve();
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#written = null;
      this.#failures += 1;
      this.#askedMs = retryAfterMsOf(error);
      const message = `Cannot report this replica to the other controllers: ${MeshError.from(error).message}`;
      if (this.#failures === 1) log.warn(message);
      else log.debug(message);
    }
  }

  #render(report: ReplicaReport): unknown {
    const { namespace, identity, owner, clock } = this.#options;
    const reference = { apiVersion: 'v1', kind: 'Pod', name: owner?.name, uid: owner?.uid };
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name: this.#name,
        namespace,
        labels: labelsOfPart('replica'),
        annotations: annotationsOf(report),
        ...(owner === null ? {} : { ownerReferences: [reference] }),
      },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: LEASE_MS / 1_000,
        renewTime: microTime(clock.wallMs()),
      },
    };
  }

  // The Leases of the others

  #replace(leases: readonly Lease[]): void {
    this.#change(() => {
      const names = new Set(leases.map(nameOf));
      for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
      for (const lease of leases) this.#see(lease);
    });
  }

  /** A version that was seen before says nothing new: silence goes on. */
  #see(lease: Lease): void {
    const name = nameOf(lease);
    if (name === this.#name) return;
    if (lease.holder === '') {
      this.#known.delete(name);
      return;
    }
    const old = this.#known.get(name);
    if (old?.lease.resourceVersion === lease.resourceVersion) return;
    if (old === undefined && this.#known.size >= REPLICAS_MAX) return;
    this.#known.set(name, {
      identity: lease.holder,
      ...readReport(recordAt(recordAt(lease.raw, 'metadata'), 'annotations')),
      lease,
      seenMs: this.#options.clock.nowMs(),
      isLive: true,
      wasAway: false,
    });
  }

  /** Tells when `others()` is different afterwards. */
  #change(run: () => void): void {
    const before = JSON.stringify(this.others());
    run();
    if (JSON.stringify(this.others()) !== before) this.#options.onChange();
  }

  #sweep(): void {
    if (this.#looking !== null) return;
    const nowMs = this.#options.clock.nowMs();
    const silent = [...this.#known].filter(
      ([, { lease, seenMs, isLive }]) =>
        nowMs - seenMs >= lease.durationMs && (isLive || this.#options.isLeader()),
    );
    if (silent.length === 0) return;
    this.#looking = this.#lookAll(silent.map(([name]) => name)).finally(() => {
      this.#looking = null;
    });
  }

  async #lookAll(names: readonly string[]): Promise<void> {
    for (const name of names) {
      if (this.#abort.signal.aborted) return;
      try {
        await this.#look(name);
      } catch (error) {
        if (isConflict(error)) continue;
        // Nobody knows whether it lives, so it still counts. The next sweep asks again.
        const known = this.#known.get(name);
        if (known !== undefined) this.#known.set(name, { ...known, wasAway: true });
        this.#options.log.debug('Cannot read the Lease of another controller', {
          name,
          error: MeshError.from(error),
        });
      }
    }
  }

  /** A last look at one that is silent: what is the same there as here is dead, and the leader deletes it. */
  async #look(name: string): Promise<void> {
    const { api, clock, isLeader, log } = this.#options;
    const call = { path: `${this.#collection}/${name}`, timeoutMs: REQUEST_TIMEOUT_MS };
    const { signal } = this.#abort;
    const raw = await orNull(api.request({ ...call, method: 'GET', signal }));
    if (raw === null) {
      this.#change(() => this.#known.delete(name));
      return;
    }
    const lease = readLease(raw);
    const known = this.#known.get(name);
    if (known === undefined) return;
    if (known.lease.resourceVersion !== lease.resourceVersion) {
      this.#change(() => this.#see(lease));
      return;
    }
    if (known.wasAway) {
      // It could not be heard while the API server was away: it has the time of one renewal from now on.
      const seenMs = clock.nowMs() - lease.durationMs + RENEW_MS;
      this.#known.set(name, { ...known, seenMs, wasAway: false });
      return;
    }
    if (known.isLive) log.info('Another controller is gone', { identity: known.identity });
    this.#change(() => this.#known.set(name, { ...known, isLive: false }));
    if (!isLeader()) return;
    const { resourceVersion } = lease;
    const uid = textAt(recordAt(lease.raw, 'metadata'), 'uid');
    const body = {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      preconditions: { uid, resourceVersion },
    };
    await api.request({ ...call, method: 'DELETE', body, signal });
  }
}

/** The name of a replica's Lease. An identity that cannot be part of a name is told apart by its hash. */
function leaseName(prefix: string, identity: string): string {
  const name = `${prefix}-${identity}`;
  if (/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name) && name.length <= NAME_LENGTH_MAX) return name;
  return `${prefix}-${hash32(identity).toString(16).padStart(8, '0')}`;
}

function nameOf(lease: Lease): string {
  return textAt(recordAt(lease.raw, 'metadata'), 'name');
}
