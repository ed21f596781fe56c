/** `--threads`: shared ports, and a thread that dies while the others go on. */

import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { call } from './support/call.ts';
import { EndpointServer } from './support/endpoint.ts';
import { InProcess } from './support/in-process.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { Mesh } from './support/mesh.ts';
import { until } from './support/until.ts';

async function setUp(t: TestContext, endpointAddress: string): Promise<Folder> {
  const server = await EndpointServer.start('web', endpointAddress);
  const folder = new Folder();
  folder.put('all.yaml', service('s/web', 20_001), endpoints('s/web', [server]));
  t.after(() => {
    server.stop();
    folder.remove();
  });
  return folder;
}

test('--threads 3 shares every port between three threads', async (t) => {
  const folder = await setUp(t, '127.1.84.1');
  const mesh = await Mesh.start({ paths: [folder.path], cidr: '127.84.0.0/24', threads: 3 });
  t.after(() => mesh.stop());
  const { threads } = await mesh.json<{ threads: { state: string; listeners: number }[] }>(
    '/api/threads',
  );
  assert.deepEqual(
    threads.map(({ state, listeners }) => [state, listeners]),
    Array.from({ length: 3 }, () => ['serving', 1]),
  );
  assert.equal(await mesh.metric('maesh_proxy_threads'), 3);
  assert.equal(await mesh.metric('maesh_listeners'), 1);
});

test('connections spread over the threads, and one that dies is replaced while the others go on', async (t) => {
  const folder = await setUp(t, '127.1.84.2');
  const mesh = await InProcess.start({ paths: [folder.path], cidr: '127.84.1.0/24', threads: 3 });
  t.after(() => mesh.stop());
  const address = mesh.addressOf('s/web');
  const open: net.Socket[] = [];
  const closed = new Set<net.Socket>();
  t.after(() => open.forEach((socket) => socket.destroy()));
  for (let i = 0; i < 90; i++) {
    const socket = net.connect({ host: address, port: 20_001 });
    socket.on('error', () => undefined);
    socket.on('close', () => closed.add(socket));
    socket.resume();
    await new Promise((resolve) => socket.once('connect', resolve));
    open.push(socket);
  }
  await until('all are accepted', () => sum(mesh.callersPerThread(3)) === 90);
  const spread = mesh.callersPerThread(3);
  t.diagnostic(`90 connections over 3 threads: ${spread.join(', ')}`);
  for (const count of spread) assert.ok(count >= 10);

  const killedMs = performance.now();
  await mesh.agent.threads.kill(1);
  await until('its connections are closed', () => closed.size === spread[1]);
  let served = 0;
  const agent = new http.Agent({ keepAlive: true });
  await until('it is replaced', async () => {
    const { status } = await call({ address, port: 20_001, agent });
    assert.equal(status, 200);
    served++;
    return mesh.agent.readiness().ready;
  });
  agent.destroy();
  t.diagnostic(
    `replaced after ${(performance.now() - killedMs).toFixed(0)} ms, ${served} requests served meanwhile`,
  );
  assert.equal(mesh.agent.threads.restarts, 1);
  assert.equal(mesh.agent.threads.alive, 3);
  assert.equal(closed.size, spread[1], 'connections of other threads stay');
  // The connection of the requests meanwhile was on some thread too, until now.
  await until('the others hold what they held', () => {
    const [first, , third] = mesh.callersPerThread(3);
    return first === spread[0] && third === spread[2];
  });
});

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
