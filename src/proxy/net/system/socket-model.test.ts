import { test } from 'node:test';
import { seededRandom } from '../../../base/random.ts';
import { SocketModel } from './socket-model.fuzz.ts';

const RUNS = Number(process.env['MAESH_MODEL_RUNS'] ?? 400);

test('random operations and faults lose no byte, double none, and leave nothing behind', (t) => {
  const model = new SocketModel();
  const random = seededRandom(7);
  for (let run = 0; run < RUNS; run++) {
    const input = Uint8Array.from({ length: 200 }, () => Math.floor(random.next() * 256));
    try {
      model.run(input);
    } catch (error) {
      t.diagnostic(`run ${run}`);
      model.close();
      throw error;
    }
  }
  model.close();
  t.diagnostic(`${model.operations} operations`);
});
