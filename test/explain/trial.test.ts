/** A trial that fails ends, and says why: nothing of its mesh keeps the process alive. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Endpoints } from './support/endpoints.ts';
import { ENDPOINTS } from './support/ground.ts';
import { Trial } from './support/trial.ts';
import { eventually } from '../support/wire.ts';

function listeners(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap').length;
}

test('a mesh that fails in the middle of its requests leaves nothing open', async (t) => {
  const endpoints = await Endpoints.listen(ENDPOINTS);
  t.after(() => endpoints.close());
  const before = listeners();
  const { behaviour } = endpoints;
  behaviour.set = () => {
    assert.ok(listeners() > before, 'the mesh listens');
    throw new Error('the trial breaks');
  };
  await assert.rejects(new Trial(endpoints).run(1_000_000), /the trial breaks/);
  await eventually(() => listeners() === before, 'its listeners to be closed', 5_000);
});
