/** The cluster's objects into the store, kept up to date: what the folder source is for manifests. */

import { delay, type Timer } from '../../base/clock.ts';
import { MeshError } from '../../base/error.ts';
import { silentLog } from '../../base/log.ts';
import type { Log } from '../../base/log.ts';
import { Backoff } from '../../base/backoff.ts';
import { SECRETS_ROLE } from '../../model/names.ts';
import { aboutText } from '../../model/object-reference.ts';
import type { Problem } from '../../model/service.ts';
import { ALL_KINDS, type KubeKind } from '../kind/table.ts';
import type { Kind } from '../object.ts';
import { ApiError } from './api-error.ts';
import type { KubeClient } from './client.ts';
import { OptionalKinds } from './optional-kinds.ts';
import { isEndpoints, type Part, type PartOptions, partsOf } from './parts.ts';
import { RETRY } from './reflector.ts';
import { describeFeatures, discover } from './server-features.ts';
import type { ServerFeatures } from './server-features.ts';
import { type WatchedKind, watchedKinds } from './watched-kind.ts';

/** Events that come within this time are one batch. */
const COALESCE_MS = 10;
/** Namespaces that are watched one by one, each with watches of its own. */
const NAMESPACES_MAX = 100;
/** A server that lacks EndpointSlices of v1 is asked again after this time: it may have been upgraded. */
const RECHECK_MS = 600_000;
/** Problems that are listed; the last one counts the rest. */
const PROBLEMS_MAX = 1_000;

/** A kind that the server has no more is taken to be gone after this time: one that starts may not know of it yet. */
const GONE_MS = 60_000;

export interface ClusterSourceOptions extends PartOptions {
  readonly client: Pick<KubeClient, 'get' | 'list' | 'stream'>;
  /** Default: all that are read. */
  readonly kinds?: readonly KubeKind[];
  /** Default 10. */
  readonly coalesceMs?: number;
  /** What a person should know of this server, once. */
  readonly onNotice: (text: string) => void;
  /** `problems()` or `status()` may have changed. */
  readonly onChange: () => void;
  /** A server that was away, or refused, answers again; told by each kind. */
  readonly onBack?: () => void;
}

export interface KindStatus {
  readonly kind: Kind;
  /** Nothing waits for it. */
  readonly isOptional: boolean;
  /** All of it was in the store once. */
  readonly synced: boolean;
  /** Why the store may be behind; null while watches are open. */
  readonly lastError: string | null;
  /** Objects in the store. */
  readonly objects: number;
}

/** A part whose place is taken by another, or that the server has no more: its objects stay for a while. */
interface Retired {
  readonly part: Part;
  readonly untilMs: number;
}

/** Start it once; after `stop` it does nothing any more, and what is in the store stays. */
export class ClusterSource {
  readonly #options: ClusterSourceOptions;
  readonly #log: Log;
  readonly #kinds: readonly KubeKind[];
  readonly #optional: OptionalKinds;
  readonly #stopped = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  #parts: readonly Part[] = [];
  #retired: readonly Retired[] = [];
  #features: ServerFeatures | null = null;
  #isReady = false;
  #isDiscovering = false;
  #flushTimer: Timer | null = null;
  #recheckTimer: Timer | null = null;
  #goneTimer: Timer | null = null;

  constructor(options: ClusterSourceOptions) {
    const { namespaces = [], secretNamespaces = [] } = options;
    if (namespaces.length > NAMESPACES_MAX) {
      throw new MeshError(
        'invalid_setting',
        `Cannot watch ${namespaces.length} namespaces one by one: name at most ${NAMESPACES_MAX}, or none to watch all`,
      );
    }
    if (secretNamespaces.length > NAMESPACES_MAX) {
      throw new MeshError(
        'invalid_setting',
        `Cannot watch Secrets of ${secretNamespaces.length} namespaces: name at most ${NAMESPACES_MAX}`,
      );
    }
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#kinds = options.kinds ?? ALL_KINDS;
    this.#optional = new OptionalKinds({
      client: options.client,
      kinds: this.#kinds.filter(({ isOptional }) => isOptional),
      clock: options.clock,
      onChange: (kind, version) => void this.#optionalChanged(kind, version),
    });
  }

  /** What the server said it is; null before it was asked. */
  get features(): ServerFeatures | null {
    return this.#features;
  }

  /**
   * Resolves when all kinds were listed and are in the store, put there in one batch. While the server is away or refuses a
   * kind it goes on trying: `status()` says what is missing. Rejects when it is stopped before.
   */
  start(): Promise<void> {
    void this.#begin();
    return this.#ready.promise;
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new MeshError('unknown', 'Stopped watching the cluster'));
    this.#flushTimer?.cancel();
    this.#recheckTimer?.cancel();
    this.#goneTimer?.cancel();
    this.#optional.stop();
    // Nobody may be waiting for it any more.
    this.#ready.promise.catch(() => undefined);
    this.#ready.reject(this.#stopped.signal.reason);
    const parts = [...this.#parts, ...this.#retired.map(({ part }) => part)];
    await Promise.all(parts.map(({ reflector }) => reflector.stop()));
  }

  /** Of objects that the API has and the mesh cannot use, and of kinds that it may not read. */
  problems(): readonly Problem[] {
    const problems: Problem[] = [];
    let count = 0;
    const add = (problem: Problem): void => {
      count += 1;
      if (count < PROBLEMS_MAX) problems.push(problem);
    };
    for (const part of this.#parts) {
      const error = part.reflector.lastError;
      if (error instanceof ApiError && (error.isForbidden || error.isUnauthorized)) {
        add(refused(part, error));
      }
      for (const ofObject of part.feed.problems()) ofObject.forEach(add);
    }
    if (count >= PROBLEMS_MAX) problems.push(uncounted(count - problems.length));
    return problems;
  }

  status(): readonly KindStatus[] {
    const kinds = Map.groupBy(this.#parts, ({ watched }) => watched.kind);
    return [...kinds].map(([kind, parts]) => ({
      kind,
      isOptional: parts.some(isDispensed)
        ? parts.every((part) => part.reflector.synced || isDispensed(part))
        : parts.every(({ watched }) => watched.isOptional),
      synced: parts.every(({ reflector }) => reflector.synced),
      lastError:
        parts.find(({ reflector }) => reflector.lastError !== null)?.reflector.lastError?.message ??
        null,
      objects: parts.reduce((sum, { feed }) => sum + feed.objects, 0),
    }));
  }

  async #begin(): Promise<void> {
    const { client } = this.#options;
    const { signal } = this.#stopped;
    const features = await this.#ask('its version', () => discover(client, signal));
    const optional = await this.#ask('its kinds', () => this.#optional.start());
    if (features === null || optional === null) return;
    this.#features = features;
    const notice = describeFeatures(features);
    if (notice !== null) this.#options.onNotice(notice);
    const found = [...optional].map(([kind, version]) => ({ ...kind, version }));
    const watched = [...watchedKinds(this.#kinds, features), ...found];
    this.#parts = watched.flatMap((each) => this.#partsOf(each));
    for (const { reflector } of this.#parts) reflector.start();
    this.#recheckLater();
    this.#options.onChange();
  }

  #recheckLater(): void {
    if (this.#features?.slices === 'v1' || this.#stopped.signal.aborted) return;
    const { clock } = this.#options;
    this.#recheckTimer?.cancel();
    this.#recheckTimer = clock.after(RECHECK_MS, () => void this.#rediscover());
  }

  /** Asks until there is an answer; null when stopped. */
  async #ask<T>(what: string, ask: () => Promise<T>): Promise<T | null> {
    const { clock, random } = this.#options;
    const { signal } = this.#stopped;
    const backoff = new Backoff(random, RETRY);
    while (!signal.aborted) {
      try {
        return await ask();
      } catch (error) {
        if (signal.aborted) return null;
        const failure = MeshError.from(error, `Cannot ask the API server for ${what}`);
        this.#log.warn(failure.message);
        const askedMs = failure instanceof ApiError ? failure.retryAfterMs : 0;
        await delay(clock, Math.max(backoff.fail(), askedMs), signal);
      }
    }
    return null;
  }

  #partsOf(watched: WatchedKind): Part[] {
    return partsOf(watched, this.#options, {
      onPending: (isWhole) => this.#schedule(isWhole),
      onSynced: () => this.#synced(),
      onState: (part) => this.#stateChanged(part),
    });
  }

  /** All is there that is waited for. */
  #areSettled(): boolean {
    return this.#parts.every((part) => part.reflector.synced || isDispensed(part));
  }

  #synced(): void {
    if (!this.#areSettled()) {
      this.#options.onChange();
      return;
    }
    this.#isReady = true;
    this.#flush();
    this.#ready.resolve();
    this.#options.onChange();
  }

  /** Kinds that are back at different times would not fit together: the first one brings the others along. */
  #bringBack(): void {
    for (const { reflector } of this.#parts) reflector.nudge();
  }

  /** A collection that is not there any more (v1beta1 after an upgrade, a CRD that was deleted) is looked for anew. */
  #stateChanged(part: Part): void {
    const { watched, reflector } = part;
    const { lastError } = reflector;
    this.#options.onChange();
    if (lastError === null) {
      this.#bringBack();
      this.#options.onBack?.();
    } else if (isDispensed(part) && !this.#isReady) this.#synced();
    if (!(lastError instanceof ApiError) || !lastError.isNotFound) return;
    if (watched.isOptional) void this.#optional.look();
    else if (isEndpoints(watched)) void this.#rediscover();
  }

  async #optionalChanged(kind: KubeKind, version: string | null): Promise<void> {
    const old = this.#parts.filter(({ watched }) => watched.kind === kind.kind);
    this.#log.info(`The API server has ${version === null ? 'no' : 'a'} ${kind.kind} now`, {
      group: kind.group,
      version: version ?? 'none',
    });
    if (version === null) await this.#swap(old, [], GONE_MS);
    else await this.#swap(old, this.#partsOf({ ...kind, version }));
    this.#options.onChange();
  }

  /** Objects of the old parts stay until those of the new ones are there; where there are none, for some time. */
  async #swap(old: readonly Part[], now: readonly Part[], keepMs = 0): Promise<void> {
    const { clock } = this.#options;
    const untilMs = clock.nowMs() + keepMs;
    this.#retired = [...this.#retired, ...old.map((part) => ({ part, untilMs }))];
    this.#parts = [...this.#parts.filter((part) => !old.includes(part)), ...now];
    await Promise.all(old.map(({ reflector }) => reflector.stop()));
    if (this.#stopped.signal.aborted) return;
    for (const { reflector } of now) reflector.start();
    if (now.length > 0) return;
    this.#goneTimer?.cancel();
    this.#goneTimer = clock.after(keepMs, () => this.#flush());
  }

  async #rediscover(): Promise<void> {
    if (this.#isDiscovering || this.#features === null) return;
    this.#isDiscovering = true;
    try {
      const { client } = this.#options;
      const { signal } = this.#stopped;
      const features = await this.#ask('its version', () => discover(client, signal));
      if (features === null || features.slices === this.#features.slices) return;
      this.#features = features;
      const now = watchedKinds(this.#kinds, features)
        .filter(isEndpoints)
        .flatMap((each) => this.#partsOf(each));
      this.#log.info('The API server has endpoints in another place now', {
        slices: features.slices ?? 'none',
      });
      const old = this.#parts.filter(({ watched }) => isEndpoints(watched));
      await this.#swap(old, now);
    } finally {
      this.#isDiscovering = false;
      this.#recheckLater();
    }
  }

  /** A new list is not held back; before all kinds are there, nothing is told. */
  #schedule(isWhole: boolean): void {
    if (!this.#isReady) return;
    const { clock, coalesceMs = COALESCE_MS } = this.#options;
    if (isWhole && this.#areSettled()) this.#flush();
    else this.#flushTimer ??= clock.after(coalesceMs, () => this.#flush());
  }

  #flush(): void {
    this.#flushTimer?.cancel();
    this.#flushTimer = null;
    let changed = false;
    this.#options.store.batch(() => {
      if (this.#areSettled()) this.#dropRetired();
      for (const { feed } of this.#parts) changed = feed.flush() || changed;
    });
    if (changed) this.#options.onChange();
  }

  #dropRetired(): void {
    const kinds = new Set(this.#parts.map(({ watched }) => watched.kind));
    const now = this.#options.clock.nowMs();
    this.#retired = this.#retired.filter(({ part, untilMs }) => {
      // A new list of the kind says what is gone.
      if (kinds.has(part.watched.kind)) return false;
      if (now < untilMs) return true;
      part.feed.clear();
      return false;
    });
  }
}

/** What is refused is not waited for: an optional kind, or one that the mesh can do without. */
function isDispensed({ watched, reflector: { lastError } }: Part): boolean {
  if (!(lastError instanceof ApiError)) return false;
  return watched.isOptional || (watched.mayBeRefused === true && lastError.isForbidden);
}

function refused({ watched, namespace }: Part, { detail, status }: ApiError): Problem {
  const { kind, plural, isSecret } = watched;
  const said = `the API server says ${status}${detail === '' ? '' : `: ${detail}`}`;
  const plain = { severity: 'error', field: '', value: '', location: '' } as const;
  if (isSecret === true)
    return {
      ...plain,
      ...aboutText(`all ${plural} of namespace ${namespace ?? ''}`),
      message: `Cannot read any ${kind} of namespace ${namespace ?? ''}: ${said}`,
      remedy: `its Role and RoleBinding ${SECRETS_ROLE} are missing: the chart makes them for each namespace of controller.secretNamespaces`,
    };
  return {
    ...plain,
    ...aboutText(`all ${plural}`),
    message: `Cannot read any ${kind}: ${said}`,
    remedy: `let the service account of maesh get, list and watch ${plural}`,
  };
}

function uncounted(count: number): Problem {
  return {
    severity: 'warning',
    ...aboutText('the cluster'),
    field: '',
    value: '',
    message: `${count} more problems are not listed`,
    remedy: 'correct those that are',
    location: '',
  };
}
