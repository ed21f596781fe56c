import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../../base/random.ts';
import { DatagramModel } from './datagram-model.fuzz.ts';

const RUNS = Number(process.env['MAESH_MODEL_RUNS'] ?? 200);

test('random operations and faults lose no datagram uncounted, double none, and leave nothing behind', (t) => {
  const model = new DatagramModel();
  const random = seededRandom(9);
  for (let run = 0; run < RUNS; run++) {
    const input = Uint8Array.from({ length: 400 }, () => Math.floor(random.next() * 256));
    try {
      model.run(input);
    } catch (error) {
      t.diagnostic(`run ${run}`);
      throw error;
    }
  }
  t.diagnostic(`${model.operations} operations, ${model.arrived} datagrams`);
  assert(model.arrived > RUNS * 10);
});
