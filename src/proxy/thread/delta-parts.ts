/** Cuts a delta into messages that are short to read, so that a large one does not hold up the thread that gets it. */

import type { Identity } from '../../model/endpoint.ts';
import type { PlacedDelta, PlacedService } from '../ledger/placement.ts';

/** Ports, endpoints and identities in one message; a Service is never cut. A millisecond or two to write and to read. */
export const PART_ITEMS_MAX = 2_000;

export interface DeltaPart {
  readonly delta: PlacedDelta;
  /** With it everything of the version was sent. */
  readonly isLast: boolean;
}

/** Made one by one, each when it is asked for. Removals come first, so that their ports are free. */
export function* deltaParts(delta: PlacedDelta): Generator<DeltaPart, void, undefined> {
  const { version, removedServices, removedIdentities } = delta;
  let part: { services: PlacedService[]; identities: Identity[] } = {
    services: [],
    identities: [],
  };
  let removals = { removedServices, removedIdentities };
  let items = 0;
  const take = (isLast: boolean): DeltaPart => {
    const taken = { delta: { version, ...part, ...removals }, isLast };
    part = { services: [], identities: [] };
    removals = { removedServices: [], removedIdentities: [] };
    items = 0;
    return taken;
  };
  for (const identity of delta.identities) {
    if (items >= PART_ITEMS_MAX) yield take(false);
    part.identities.push(identity);
    items++;
  }
  for (const service of delta.services) {
    const size = sizeOf(service);
    if (items > 0 && items + size > PART_ITEMS_MAX) yield take(false);
    part.services.push(service);
    items += size;
  }
  yield take(true);
}

function sizeOf({ endpointSlots }: PlacedService): number {
  return endpointSlots.reduce((sum, slots) => sum + 1 + slots.length, 1);
}
