import assert from 'node:assert/strict';
import { it } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { mutate } from './mutate.ts';
import { TARGETS } from './targets.ts';

for (const target of TARGETS) {
  it(`${target.name} keeps its invariants on 3,000 mutated inputs`, () => {
    for (const seed of target.seeds) target.run(seed);
    for (let run = 0; run < 3000; run++)
      target.run(mutate(seededRandom(run), target.seeds, target.dictionary));
  });
}

it('mutate() makes the same input from the same seed', () => {
  const { seeds, dictionary } = TARGETS[0]!;
  for (let run = 0; run < 100; run++) {
    const first = mutate(seededRandom(run), seeds, dictionary);
    assert.deepEqual(mutate(seededRandom(run), seeds, dictionary), first);
  }
});
