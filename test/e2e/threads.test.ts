/** `--threads`: shared ports, and a thread that dies while the others go on. */

import assert from 'node:assert/strict';
import http from 'node:http';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { release } from 'node:os';
import { test, type TestContext } from 'node:test';
import { call } from './support/call.ts';
import { EndpointServer } from './support/endpoint.ts';
import { InProcess } from './support/in-process.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { Mesh } from './support/mesh.ts';
import { until } from './support/until.ts';
import { ownRange } from '../support/ranges.ts';

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
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 3 });
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
  const mesh = await InProcess.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 3 });
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

/** Name, niceness and time slice in nanoseconds (undefined where the kernel does not tell) of every thread. */
function threadsOf(pid: number): { name: string; nice: number; slice: number | undefined }[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).map((id) => {
    const stat = readFileSync(`${tasks}/${id}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const sched = `${tasks}/${id}/sched`;
    const told = existsSync(sched) ? readFileSync(sched, 'utf8') : '';
    const slice = /^slice\s*:\s*(\d+)/m.exec(told)?.[1];
    return {
      name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')),
      nice: Number(fields[16]),
      slice: slice === undefined ? undefined : Number(slice),
    };
  });
}

test('the other threads of the process yield to those of the proxy', async (t) => {
  const folder = await setUp(t, '127.1.84.6');
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
  t.after(() => mesh.stop());
  const threads = threadsOf(mesh.child.pid ?? 0);
  const isProxy = ({ name }: { name: string }): boolean => name.startsWith('proxy-');
  assert.equal(threads.filter(isProxy).length, 2);
  for (const thread of threads) {
    if (!isProxy(thread)) continue;
    assert.equal(thread.nice, 0, thread.name);
    const [major = 0, minor = 0] = release().split('.').map(Number);
    if (thread.slice !== undefined && (major > 6 || (major === 6 && minor >= 12))) {
      assert.equal(thread.slice, 100_000, thread.name);
    }
  }
  const main = threads.filter(({ name }) => name.includes('Main'));
  const compilers = threads.filter(({ name }) => name.includes('V8Worker'));
  assert.ok(main.length === 1 && compilers.length > 0, JSON.stringify(threads));
  for (const { name, nice } of [...main, ...compilers]) assert.equal(nice, 5, name);
});
