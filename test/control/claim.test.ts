/** Two agents in one network namespace would share its callers: the second one refuses, as a process of its own. */

import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { after, before, test } from 'node:test';
import { Cluster } from './support/cluster.ts';

let cluster: Cluster;

before(async () => {
  cluster = await Cluster.start({ areProcesses: true });
  await cluster.controller('c1');
});

after(() => cluster.stop());

test('a second agent on the node names the first one and ends; the first one serves on', async () => {
  let child: ChildProcess | null = null;
  const first = await cluster.agent('a1', { onStart: (started) => (child = started) });
  const pid = (): number => child?.pid ?? 0;
  await first.part.ready();
  const second = await cluster.agent('a2');
  assert.equal(await second.part.exit, 1, second.part.log);
  assert.match(
    second.part.log,
    new RegExp(
      `maesh: Cannot serve this node: another agent of the mesh, process ${pid()} of its container, runs in this network namespace`,
    ),
  );
  assert.equal(await first.part.status('/readyz'), 200);
  assert.equal(await first.part.end(), 0, first.part.log);
});

test('an agent that was killed claims nothing any more', async () => {
  let child: ChildProcess | null = null;
  const killed = await cluster.agent('a3', { onStart: (started) => (child = started) });
  await killed.part.ready();
  const kill = (): void => void child?.kill('SIGKILL');
  kill();
  assert.equal(await killed.part.exit, 137);
  const next = await cluster.agent('a4');
  await next.part.ready();
});
