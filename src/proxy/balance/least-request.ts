/** Of two endpoints drawn by weight, the one with fewer requests in flight for its weight; failures count as such. */

import type { EndpointState } from './endpoint-state.ts';
import { loadOf } from './penalty.ts';
import type { Candidate, Picker, PickRequest } from './picker.ts';
import type { Rotation } from './rotation.ts';
import { twoChoiceOdds } from './two-choices.ts';

export class LeastRequestPicker implements Picker {
  readonly #rotation: Rotation;

  constructor(rotation: Rotation) {
    this.#rotation = rotation;
  }

  pick(request: PickRequest, nowMs: number): EndpointState | null {
    const rotation = this.#rotation;
    const a = rotation.draw(request.avoid, null);
    const first = rotation.endpointAt(a);
    if (first === null) return null;
    const b = rotation.draw(request.avoid, first);
    const second = rotation.endpointAt(b);
    if (second === null) return first;
    // On a tie the first one, so that the shares of an idle backend follow the weights.
    const { meanInFlight } = rotation;
    const firstLoad = loadOf(first, meanInFlight, nowMs);
    const secondLoad = loadOf(second, meanInFlight, nowMs);
    const isSecondBetter = secondLoad * rotation.weightAt(a) < firstLoad * rotation.weightAt(b);
    return isSecondBetter ? second : first;
  }

  odds(_request: PickRequest, candidates: readonly Candidate[], nowMs: number): number[] {
    const mean = this.#rotation.meanInFlightNow();
    const costs = candidates.map(({ endpoint, weight }) => loadOf(endpoint, mean, nowMs) / weight);
    return twoChoiceOdds(candidates, costs);
  }
}
