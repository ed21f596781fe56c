/** The picker of a balancing policy. */

import type { Random } from '../../base/random.ts';
import type { BalanceAlgorithm } from '../../model/policy.ts';
import { ConsistentHashPicker } from './consistent-hash.ts';
import { LeastRequestPicker } from './least-request.ts';
import { PeakEwmaPicker } from './peak-ewma.ts';
import type { Picker } from './picker.ts';
import type { Rotation } from './rotation.ts';
import { RoundRobinPicker } from './round-robin.ts';
import { WeightedPicker } from './weighted.ts';

type Create = (rotation: Rotation, random: Random) => Picker;

const CREATE: Readonly<Record<BalanceAlgorithm, Create>> = {
  'least-request': (rotation) => new LeastRequestPicker(rotation),
  'round-robin': (rotation, random) => new RoundRobinPicker(rotation, random),
  weighted: (rotation) => new WeightedPicker(rotation),
  'peak-ewma': (rotation) => new PeakEwmaPicker(rotation),
  'consistent-hash': (rotation) =>
    new ConsistentHashPicker(rotation, new LeastRequestPicker(rotation)),
};

export function createPicker(
  algorithm: BalanceAlgorithm,
  rotation: Rotation,
  random: Random,
): Picker {
  return CREATE[algorithm](rotation, random);
}
