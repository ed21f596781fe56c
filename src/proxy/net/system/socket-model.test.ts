import { test, type TestContext } from 'node:test';
import { seededRandom } from '../../../base/random.ts';
import type { World } from './model-world.fixture.ts';
import { RealWorld } from './real-world.fixture.ts';
import { ScriptedWorld } from './scripted-world.fixture.ts';
import { SocketModel } from './socket-model.fuzz.ts';

const RUNS = Number(process.env['MAESH_MODEL_RUNS'] ?? 400);

function play(t: TestContext, world: World): void {
  const model = new SocketModel(world);
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
}

test('random operations and faults lose no byte, double none, and leave nothing behind', (t) =>
  play(t, new ScriptedWorld()));

test('and so on the real kernel', (t) => play(t, new RealWorld()));
