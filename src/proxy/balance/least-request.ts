/** Of two endpoints drawn by weight, the one with fewer requests in flight for its weight. */

import type { EndpointState } from './endpoint-state.ts';
import type { Candidate, Picker, PickRequest } from './picker.ts';
import type { Rotation } from './rotation.ts';
import { twoChoiceOdds } from './two-choices.ts';

export class LeastRequestPicker implements Picker {
  readonly #rotation: Rotation;

  constructor(rotation: Rotation) {
    this.#rotation = rotation;
  }

  pick(request: PickRequest, _nowMs: number): EndpointState | null {
    const rotation = this.#rotation;
    const a = rotation.draw(request.avoid, null);
    const first = rotation.endpointAt(a);
    if (first === null) return null;
    const b = rotation.draw(request.avoid, first);
    const second = rotation.endpointAt(b);
    if (second === null) return first;
    // On a tie the first one, so that the shares of an idle backend follow the weights.
    const isSecondBetter =
      second.inFlight * rotation.weightAt(a) < first.inFlight * rotation.weightAt(b);
    return isSecondBetter ? second : first;
  }

  odds(_request: PickRequest, candidates: readonly Candidate[]): number[] {
    const costs = candidates.map(({ endpoint, weight }) => endpoint.inFlight / weight);
    return twoChoiceOdds(candidates, costs);
  }
}
