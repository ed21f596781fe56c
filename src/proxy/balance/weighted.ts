/** Each request by chance in proportion to weight: exact shares in the long run, over all threads without any talk. */

import type { EndpointState } from './endpoint-state.ts';
import { type Candidate, type Picker, type PickRequest, weightShares } from './picker.ts';
import type { Rotation } from './rotation.ts';

export class WeightedPicker implements Picker {
  readonly #rotation: Rotation;

  constructor(rotation: Rotation) {
    this.#rotation = rotation;
  }

  pick(request: PickRequest, _nowMs: number): EndpointState | null {
    return this.#rotation.endpointAt(this.#rotation.draw(request.avoid, null));
  }

  odds(_request: PickRequest, candidates: readonly Candidate[]): number[] {
    return weightShares(candidates);
  }
}
