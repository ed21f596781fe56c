/**
 * Who gets in while a Service has nearly as many requests in flight as it may. While only one source wants them, it may have them
 * all. Once a source that has less than an equal share was there, the last part of the limit is kept for such ones, for a minute:
 * who has more waits until what it has in flight is done. Nothing that is in flight is cut, and the limit is never passed.
 *
 * A thread counts the requests of its own connections and takes the other threads to be like it; the source with most is known to all of them.
 */

import { hash32 } from '../../base/hash.ts';
import { SERVICE_FLOAT, SERVICE_WORD } from '../ledger/layout.ts';
import { BUSY, type Guests } from '../net/caller-room.ts';
import type { CrowdCount, ServiceState } from '../table/table.ts';

/** How long the last part is kept after somebody with less than its share was there. */
const KEPT_MS = 60_000;
/** Counting takes some 20 ns for each connection: among more than these, what was counted holds for a while. */
const COUNT_ALWAYS = 64;
const COUNT_MS = 100;

/** An eighth of a limit, rounded up, and none of a limit of 1. */
export function keptOf(limit: number): number {
  return (limit + 6) >> 3;
}

interface Thread {
  readonly room: {
    readonly threads: number;
    guestsOf(service: string): Guests;
  };
}

/** Whether a request of this source may stay, when the Service is in the last part of its limit; `inFlight` counts it. */
// oxlint-disable-next-line max-params -- on the path of a request, without an object
export function staysInCrowd(
  service: ServiceState,
  inFlight: number,
  sourceHash: number,
  now: number,
  { room }: Thread,
): boolean {
  const { cells } = service;
  const limit = service.service.policies.limits.requestsInFlight;
  const { sources } = countOf(service, now, room);
  const most = cells.w + SERVICE_WORD.mostInFlight;
  const keptUntil = cells.f + SERVICE_FLOAT.keptUntilMs;
  // Somebody else is or may be there, if on another thread.
  const share = limit / Math.max(sources.size, 2);
  const own = sources.get(sourceHash) ?? 1;
  // One request is one, however many threads there are.
  const hasMuch = own > 1 && 1 + (own - 1) * room.threads > share;
  if (hasMuch) Atomics.store(cells.words, most, sourceHash | 0);
  const known = Atomics.load(cells.words, most);
  // What it has is on other threads.
  const isMost = sources.size < 2 && known === (sourceHash | 0);
  if (!hasMuch && !isMost && known !== 0) cells.floats[keptUntil] = now + KEPT_MS;
  if (inFlight > limit) return false;
  return !(hasMuch || isMost) || now >= (cells.floats[keptUntil] as number);
}

function countOf(service: ServiceState, now: number, room: Thread['room']): CrowdCount {
  const guests = room.guestsOf(service.service.key);
  const { crowd: counted } = service;
  const isFresh = counted !== null && now - counted.countedMs < COUNT_MS;
  if (isFresh && guests.size > COUNT_ALWAYS) return counted;
  const byAddress = new Map<string, number>();
  for (const { standing, address, requests = 1, crowd = service } of guests) {
    if (standing === BUSY && crowd === service)
      byAddress.set(address, (byAddress.get(address) ?? 0) + requests);
  }
  const sources = new Map<number, number>();
  for (const [address, count] of byAddress) sources.set(hash32(address), count);
  service.crowd = { sources, countedMs: now };
  return service.crowd;
}
