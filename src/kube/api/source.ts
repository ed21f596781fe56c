/** The cluster's objects into the store, kept up to date: what the folder source is for manifests. */

import { type Clock, delay, type Timer } from '../../base/clock.ts';
import { MeshError } from '../../base/error.ts';
import { silentLog } from '../../base/log.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Problem } from '../../model/service.ts';
import type { Kind } from '../object.ts';
import type { Store } from '../store.ts';
import { ApiError } from './api-error.ts';
import { Backoff } from '../../base/backoff.ts';
import type { KubeClient } from './client.ts';
import { Feed } from './feed.ts';
import { resourcePath } from './path.ts';
import { Reflector, RETRY } from './reflector.ts';
import { describeFeatures, discover } from './server-features.ts';
import type { ServerFeatures } from './server-features.ts';
import { pick, watchedKinds } from './watched-kind.ts';
import type { Picked, WatchedKind } from './watched-kind.ts';

/** Events that come within this time are one batch. */
const COALESCE_MS = 10;
/** Namespaces that are watched one by one, each with watches of its own. */
const NAMESPACES_MAX = 100;
/** A server that lacks EndpointSlices of v1 is asked again after this time: it may have been upgraded. */
const RECHECK_MS = 600_000;
/** Problems that are listed; the last one counts the rest. */
const PROBLEMS_MAX = 1_000;

const ANNOTATIONS = /^(maesh\.dev|mesh\.traefik\.io|maesh\.containo\.us)\//;

export interface ClusterSourceOptions {
  readonly client: Pick<KubeClient, 'get' | 'list' | 'stream'>;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: Log;
  /** Only objects of these namespaces; absent or empty: of all. Nodes are always watched. */
  readonly namespaces?: readonly string[];
  /** Namespaces of which no Services and endpoints are read. */
  readonly ignoreNamespaces?: readonly string[];
  /** One Service that is read although its namespace is not, with its endpoints. */
  readonly extra?: { readonly namespace: string; readonly name: string };
  /** Default 10. */
  readonly coalesceMs?: number;
  /** Annotations that are kept in memory; by default those of the mesh. */
  readonly keepAnnotation?: (key: string) => boolean;
  /** What a person should know of this server, once. */
  readonly onNotice: (text: string) => void;
  /** `problems()` or `status()` may have changed. */
  readonly onChange: () => void;
  /** A server that was away, or refused, answers again; told by each kind. */
  readonly onBack?: () => void;
}

export interface KindStatus {
  readonly kind: Kind;
  /** All of it was in the store once. */
  readonly synced: boolean;
  /** Why the store may be behind; null while watches are open. */
  readonly lastError: string | null;
  /** Objects in the store. */
  readonly objects: number;
}

/** One collection of one place. */
interface Part {
  readonly watched: WatchedKind;
  readonly feed: Feed;
  readonly reflector: Reflector<Picked>;
}

/** Start it once; after `stop` it does nothing any more, and what is in the store stays. */
export class ClusterSource {
  readonly #options: ClusterSourceOptions;
  readonly #log: Log;
  readonly #stopped = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  #parts: readonly Part[] = [];
  /** Parts of a kind that the server has no more: their objects stay until those of the kind in its place are there. */
  #retired: readonly Part[] = [];
  #features: ServerFeatures | null = null;
  #isReady = false;
  #isDiscovering = false;
  #flushTimer: Timer | null = null;
  #recheckTimer: Timer | null = null;

  constructor(options: ClusterSourceOptions) {
    const { namespaces = [] } = options;
    if (namespaces.length > NAMESPACES_MAX) {
      throw new MeshError(
        'invalid_setting',
        `Cannot watch ${namespaces.length} namespaces one by one: name at most ${NAMESPACES_MAX}, or none to watch all`,
      );
    }
    this.#options = options;
    this.#log = options.log ?? silentLog;
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
    // Nobody may be waiting for it any more.
    this.#ready.promise.catch(() => undefined);
    this.#ready.reject(this.#stopped.signal.reason);
    await Promise.all([...this.#parts, ...this.#retired].map(({ reflector }) => reflector.stop()));
  }

  /** Of objects that the API has and the mesh cannot use, and of kinds that it may not read. */
  problems(): readonly Problem[] {
    const problems: Problem[] = [];
    let count = 0;
    const add = (problem: Problem): void => {
      count += 1;
      if (count < PROBLEMS_MAX) problems.push(problem);
    };
    for (const { feed, reflector, watched } of this.#parts) {
      const error = reflector.lastError;
      if (error instanceof ApiError && (error.isForbidden || error.isUnauthorized)) {
        add(refused(watched, error));
      }
      for (const ofObject of feed.problems()) ofObject.forEach(add);
    }
    if (count >= PROBLEMS_MAX) problems.push(uncounted(count - problems.length));
    return problems;
  }

  status(): readonly KindStatus[] {
    const kinds = Map.groupBy(this.#parts, ({ watched }) => watched.kind);
    return [...kinds].map(([kind, parts]) => ({
      kind,
      synced: parts.every(({ reflector }) => reflector.synced),
      lastError:
        parts.find(({ reflector }) => reflector.lastError !== null)?.reflector.lastError?.message ??
        null,
      objects: parts.reduce((sum, { feed }) => sum + feed.objects, 0),
    }));
  }

  async #begin(): Promise<void> {
    const features = await this.#discover();
    if (features === null) return;
    this.#features = features;
    const notice = describeFeatures(features);
    if (notice !== null) this.#options.onNotice(notice);
    this.#parts = watchedKinds(features).flatMap((watched) => this.#partsOf(watched));
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
  async #discover(): Promise<ServerFeatures | null> {
    const { client, clock, random } = this.#options;
    const { signal } = this.#stopped;
    const backoff = new Backoff(random, RETRY);
    while (!signal.aborted) {
      try {
        return await discover(client, signal);
      } catch (error) {
        if (signal.aborted) return null;
        const failure = MeshError.from(error, 'Cannot ask the API server for its version');
        this.#log.warn(failure.message);
        const askedMs = failure instanceof ApiError ? failure.retryAfterMs : 0;
        await delay(clock, Math.max(backoff.fail(), askedMs), signal);
      }
    }
    return null;
  }

  #partsOf(watched: WatchedKind): Part[] {
    const { namespaces = [], extra } = this.#options;
    const parts = this.#partsOfNamespaces(watched, [...new Set(namespaces)]);
    if (extra === undefined || namespaces.includes(extra.namespace)) return parts;
    if (watched.kind === 'EndpointSlice') {
      const labelSelector = `kubernetes.io/service-name=${extra.name}`;
      return [
        ...parts,
        this.#part(watched, { namespace: extra.namespace, name: null }, labelSelector),
      ];
    }
    const isNamed = watched.kind === 'Service' || watched.kind === 'Endpoints';
    return isNamed ? [...parts, this.#part(watched, extra)] : parts;
  }

  #partsOfNamespaces(watched: WatchedKind, namespaces: readonly string[]): Part[] {
    if (namespaces.length === 0 || watched.kind === 'Node') {
      return [this.#part(watched, { namespace: null, name: null })];
    }
    return namespaces.map((each) =>
      watched.kind === 'Namespace'
        ? this.#part(watched, { namespace: null, name: each })
        : this.#part(watched, { namespace: each, name: null }),
    );
  }

  #part(
    watched: WatchedKind,
    place: { readonly namespace: string | null; readonly name: string | null },
    labelSelector?: string,
  ): Part {
    const { client, store, clock, random, log } = this.#options;
    const keep = this.#options.keepAnnotation ?? ((key: string) => ANNOTATIONS.test(key));
    const { ignoreNamespaces = [] } = this.#options;
    const isNarrowed = place.namespace === null && isIgnorable(watched);
    const feed = new Feed({
      store,
      kind: watched.kind,
      ...place,
      without: isNarrowed ? ignoreNamespaces : [],
      onPending: (isWhole) => this.#schedule(isWhole),
    });
    const { namespace, name } = place;
    const { group, version, plural } = watched;
    const fieldSelector =
      name === null ? this.#selectorOf(watched, namespace) : `metadata.name=${name}`;
    const reflector = new Reflector<Picked>({
      client,
      path: resourcePath({ group, version, plural, ...(namespace === null ? {} : { namespace }) }),
      labelSelector,
      fieldSelector,
      pick: (raw) => pick(watched, raw, keep),
      sink: feed,
      clock,
      random,
      ...(log === undefined ? {} : { log }),
      onSynced: () => this.#synced(),
      onState: () => this.#stateChanged(watched, reflector),
    });
    return { watched, feed, reflector };
  }

  /** Each shadow Service has an endpoint per agent: none of that is to be sent here, read, and kept. */
  #selectorOf(watched: WatchedKind, namespace: string | null): string | undefined {
    const { ignoreNamespaces = [] } = this.#options;
    const { fieldSelector } = watched;
    if (namespace !== null || !isIgnorable(watched)) return fieldSelector;
    const others = ignoreNamespaces.map((each) => `metadata.namespace!=${each}`);
    return others.length === 0 ? fieldSelector : others.join();
  }

  #synced(): void {
    if (!this.#parts.every(({ reflector }) => reflector.synced)) {
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

  /** A collection that is not there any more (v1beta1 after an upgrade) is looked for anew. */
  #stateChanged(watched: WatchedKind, { lastError }: Reflector<Picked>): void {
    this.#options.onChange();
    if (lastError === null) {
      this.#bringBack();
      this.#options.onBack?.();
    }
    if (watched.kind !== 'EndpointSlice' && watched.kind !== 'Endpoints') return;
    if (lastError instanceof ApiError && lastError.isNotFound) void this.#rediscover();
  }

  async #rediscover(): Promise<void> {
    if (this.#isDiscovering || this.#features === null) return;
    this.#isDiscovering = true;
    try {
      const features = await this.#discover();
      if (features === null || features.slices === this.#features.slices) return;
      this.#features = features;
      const kept = this.#parts.filter(({ watched }) => !isEndpoints(watched));
      const old = this.#parts.filter(({ watched }) => isEndpoints(watched));
      const now = watchedKinds(features)
        .filter(isEndpoints)
        .flatMap((each) => this.#partsOf(each));
      this.#retired = [...this.#retired, ...old];
      this.#parts = [...kept, ...now];
      await Promise.all(old.map(({ reflector }) => reflector.stop()));
      this.#log.info('The API server has endpoints in another place now', {
        slices: features.slices ?? 'none',
      });
      if (this.#stopped.signal.aborted) return;
      for (const { reflector } of now) reflector.start();
    } finally {
      this.#isDiscovering = false;
      this.#recheckLater();
    }
  }

  /** A new list is not held back; before all kinds are there, nothing is told. */
  #schedule(isWhole: boolean): void {
    if (!this.#isReady) return;
    const { clock, coalesceMs = COALESCE_MS } = this.#options;
    if (isWhole && this.#parts.every(({ reflector }) => reflector.synced)) this.#flush();
    else this.#flushTimer ??= clock.after(coalesceMs, () => this.#flush());
  }

  #flush(): void {
    this.#flushTimer?.cancel();
    this.#flushTimer = null;
    let changed = false;
    this.#options.store.batch(() => {
      const areSynced = this.#parts.every(({ reflector }) => reflector.synced);
      if (areSynced) this.#dropRetired();
      for (const { feed } of this.#parts) changed = feed.flush() || changed;
    });
    if (changed) this.#options.onChange();
  }

  #dropRetired(): void {
    const kinds = new Set(this.#parts.map(({ watched }) => watched.kind));
    for (const { watched, feed } of this.#retired) if (!kinds.has(watched.kind)) feed.clear();
    this.#retired = [];
  }
}

/** Kinds of which objects in ignored namespaces are not read. */
function isIgnorable({ kind }: Pick<WatchedKind, 'kind'>): boolean {
  return kind === 'Service' || isEndpoints({ kind });
}

function isEndpoints({ kind }: Pick<WatchedKind, 'kind'>): boolean {
  return kind === 'EndpointSlice' || kind === 'Endpoints';
}

function refused({ kind, plural }: WatchedKind, { detail, status }: ApiError): Problem {
  return {
    severity: 'error',
    object: `all ${plural}`,
    field: '',
    value: '',
    message: `Cannot read any ${kind}: the API server says ${status}${detail === '' ? '' : `: ${detail}`}`,
    remedy: `let the service account of maesh get, list and watch ${plural}`,
    location: '',
  };
}

function uncounted(count: number): Problem {
  return {
    severity: 'warning',
    object: 'the cluster',
    field: '',
    value: '',
    message: `${count} more problems are not listed`,
    remedy: 'correct those that are',
    location: '',
  };
}
