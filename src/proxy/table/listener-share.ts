/**
 * Which ports may have a listening socket when file descriptors do not suffice for all. Depends on the configuration alone, so that all threads
 * choose the same, after a restart too.
 */

import type { PortState } from './table.ts';

/** Listening sockets of all threads may take one in so many descriptors of the process; callers and endpoints have the others. */
const LISTENER_PART = 2;

/** Listening sockets that one thread may have. */
export function listenersMax(descriptors: number, threads: number): number {
  return Math.floor(descriptors / LISTENER_PART / threads);
}

/**
 * At most `max` of them: each namespace has an equal share, and each Service an equal share of that. What one does not need, the others get.
 * Of one Service the first ports come first.
 */
export function portsWithin(wanted: Iterable<PortState>, max: number): ReadonlySet<PortState> {
  const namespaces = new Map<string, Map<string, PortState[]>>();
  for (const port of wanted) {
    const { namespace, key } = port.service.service;
    const services = getOrAdd(namespaces, namespace, () => new Map<string, PortState[]>());
    getOrAdd(services, key, () => []).push(port);
  }
  const queues = inOrder(namespaces).map((services) => inTurns(inOrder(services)));
  const allowed = new Set<PortState>();
  for (const port of inTurns(queues)) {
    if (allowed.size >= max) break;
    allowed.add(port);
  }
  return allowed;
}

/** The first of each list, then the second of each, and so on. */
function inTurns<T>(lists: readonly (readonly T[])[]): readonly T[] {
  const turns: T[] = [];
  let left = lists;
  for (let turn = 0; left.length > 0; turn++) {
    left = left.filter((list) => turn < list.length);
    for (const list of left) turns.push(list[turn] as T);
  }
  return turns;
}

function inOrder<T>(map: ReadonlyMap<string, T>): readonly T[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}

function getOrAdd<T>(map: Map<string, T>, key: string, make: () => T): T {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
