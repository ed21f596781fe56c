/** The collections that are watched for one kind: all of it, or a part for each namespace that is to be watched. */

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Store } from '../store.ts';
import type { KubeClient } from './client.ts';
import { KindFeed } from './kind-feed.ts';
import { resourcePath } from './path.ts';
import { Reflector } from './reflector.ts';
import { type Picked, pick, type WatchedKind } from './watched-kind.ts';

const ANNOTATIONS = /^(maesh\.dev|mesh\.traefik\.io|maesh\.containo\.us)\//;

export interface PartOptions {
  readonly client: Pick<KubeClient, 'list' | 'stream'>;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: Log;
  /** Namespaces whose Secrets may be read; absent or empty: of none. */
  readonly secretNamespaces?: readonly string[];
  /** Only objects of these namespaces; absent or empty: of all. What has no namespace is always watched. */
  readonly namespaces?: readonly string[];
  /** Namespaces of which no Services and endpoints are read. */
  readonly ignoreNamespaces?: readonly string[];
  /** One Service that is read although its namespace is not, with its endpoints. */
  readonly extra?: { readonly namespace: string; readonly name: string };
  /** Annotations that are kept in memory; by default those of the mesh. */
  readonly keepAnnotation?: (key: string) => boolean;
}

export interface PartHooks {
  /** As of a `KindFeed`. */
  readonly onPending: (isWhole: boolean) => void;
  /** As of a `Reflector`. */
  readonly onSynced: () => void;
  readonly onState: (part: Part) => void;
}

/** One collection of one place. */
export interface Part {
  readonly watched: WatchedKind;
  /** null: all of them, or the kind has none. */
  readonly namespace: string | null;
  readonly feed: KindFeed;
  readonly reflector: Reflector<Picked>;
}

interface Place {
  readonly namespace: string | null;
  readonly name: string | null;
  readonly labelSelector?: string;
}

/** Parts that are not started yet. */
export function partsOf(watched: WatchedKind, options: PartOptions, hooks: PartHooks): Part[] {
  return placesOf(watched, options).map((place) =>
    partAt(place, watched, { ...options, ...hooks }),
  );
}

function placesOf(watched: WatchedKind, options: PartOptions): readonly Place[] {
  const { namespaces = [], secretNamespaces = [], extra } = options;
  if (watched.isSecret === true) {
    const isWatched = (name: string): boolean =>
      namespaces.length === 0 || namespaces.includes(name);
    const named = [...new Set(secretNamespaces)].filter(isWatched);
    return named.map((namespace) => ({ namespace, name: null }));
  }
  const places = placesIn(watched, [...new Set(namespaces)]);
  if (extra === undefined || namespaces.includes(extra.namespace)) return places;
  if (watched.kind === 'EndpointSlice') {
    const labelSelector = `kubernetes.io/service-name=${extra.name}`;
    return [...places, { namespace: extra.namespace, name: null, labelSelector }];
  }
  const isNamed = watched.kind === 'Service' || watched.kind === 'Endpoints';
  return isNamed ? [...places, extra] : places;
}

function placesIn(
  { kind, isNamespaced }: WatchedKind,
  namespaces: readonly string[],
): readonly Place[] {
  if (namespaces.length > 0 && kind === 'Namespace')
    return namespaces.map((name) => ({ namespace: null, name }));
  if (namespaces.length > 0 && isNamespaced)
    return namespaces.map((namespace) => ({ namespace, name: null }));
  return [{ namespace: null, name: null }];
}

function partAt(
  { namespace, name, labelSelector }: Place,
  watched: WatchedKind,
  options: PartOptions & PartHooks,
): Part {
  const { client, store, clock, random, log, ignoreNamespaces = [], onPending } = options;
  const keep = options.keepAnnotation ?? ((key: string) => ANNOTATIONS.test(key));
  const without = namespace === null && isIgnorable(watched) ? ignoreNamespaces : [];
  const feed = new KindFeed({ store, kind: watched.kind, namespace, name, without, onPending });
  const { group, version, plural } = watched;
  const part: Part = {
    watched,
    namespace,
    feed,
    reflector: new Reflector<Picked>({
      client,
      path: resourcePath({ group, version, plural, ...(namespace === null ? {} : { namespace }) }),
      labelSelector: labelSelector ?? watched.labelSelector,
      fieldSelector: name === null ? selectorOf(watched, without) : `metadata.name=${name}`,
      pick: (raw) => pick(watched, raw, keep),
      sink: feed,
      clock,
      random,
      ...(log === undefined ? {} : { log }),
      onSynced: options.onSynced,
      onState: () => options.onState(part),
    }),
  };
  return part;
}

/** Each shadow Service has an endpoint per agent: none of that is to be sent here, read, and kept. */
function selectorOf(
  { fieldSelector }: WatchedKind,
  without: readonly string[],
): string | undefined {
  if (without.length === 0) return fieldSelector;
  return without.map((each) => `metadata.namespace!=${each}`).join();
}

/** Kinds of which objects in ignored namespaces are not read. */
function isIgnorable(watched: WatchedKind): boolean {
  return watched.kind === 'Service' || isEndpoints(watched);
}

export function isEndpoints({ kind }: Pick<WatchedKind, 'kind'>): boolean {
  return kind === 'EndpointSlice' || kind === 'Endpoints';
}
