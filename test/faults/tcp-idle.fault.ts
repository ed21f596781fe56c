/** What connections of TCP cost that nothing moves on. */

import assert from 'node:assert/strict';
import net from 'node:net';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { ownRange } from '../support/ranges.ts';

const PORT = 20_002;
const COUNT = 20_000;
const BYTES_EACH_MAX = 2_500;
/** Before them, so that what is made once is there. */
const WARM = 500;
/** In the proxy, two for each, and room that it keeps for dials; here, one for each of the two ends. */
const DESCRIPTORS = 70_000;

function descriptorLimit(): number {
  const [, soft = '0'] =
    /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
  return soft === 'unlimited' ? Infinity : Number(soft);
}

const skip =
  descriptorLimit() < DESCRIPTORS
    ? `it needs ${DESCRIPTORS} file descriptors, and may have ${descriptorLimit()}: raise the limit (ulimit -n)`
    : false;

/** Endpoints that send back what they get. */
function echo(address: string): Promise<{ address: string; port: number; stop(): void }> {
  return new Promise((resolve, reject) => {
    const sockets = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
      socket.pipe(socket);
    });
    server.once('error', reject);
    server.listen({ host: address, port: 0, backlog: 4_096 }, () =>
      resolve({
        address,
        port: (server.address() as net.AddressInfo).port,
        stop() {
          server.close();
          for (const socket of sockets) socket.destroy();
        },
      }),
    );
  });
}

async function openAll(host: string, count: number): Promise<net.Socket[]> {
  const sockets: net.Socket[] = [];
  const open = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = net.connect({ host, port: PORT }, () => socket.write('ping'));
      socket.once('data', () => resolve());
      socket.on('error', reject);
      sockets.push(socket);
    });
  for (let i = 0; i < count; i += 100) {
    // oxlint-disable-next-line no-await-in-loop -- a hundred at a time
    await Promise.all(Array.from({ length: 100 }, open));
  }
  return sockets;
}

/** Resident memory in bytes. */
function residentBytes(of: Mesh): number {
  const status = readFileSync(`/proc/${of.child.pid}/status`, 'latin1');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1_024;
}

test(
  `${COUNT} idle connections of TCP cost little memory, and all of them still work`,
  { skip },
  async (t) => {
    const pods = ownRange();
    const servers = [await echo(pods.host(1)), await echo(pods.host(2))];
    const folder = new Folder();
    const annotations = {
      'maesh.dev/traffic-type': 'tcp',
      'maesh.dev/limit-requests-in-flight': '100000',
      'maesh.dev/limit-connections-per-endpoint': '100000',
    };
    folder.put(
      'all.yaml',
      service('s/idle', PORT, { annotations }),
      endpoints(
        's/idle',
        servers.map(({ address, port }) => ({ address, port })),
      ),
    );
    const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
    t.after(async () => {
      await mesh.stop();
      for (const server of servers) server.stop();
      folder.remove();
    });
    const host = await mesh.addressOf('s/idle');
    for (const socket of await openAll(host, WARM)) socket.destroy();
    const metric = () => mesh.metric('maesh_caller_connections{service="s/idle"}');
    await until('the first are gone', async () => (await metric()) === 0);
    const before = residentBytes(mesh);
    const sockets = await openAll(host, COUNT);
    await sleep(2_000);
    assert.equal(await metric(), COUNT);
    const each = (residentBytes(mesh) - before) / COUNT;
    t.diagnostic(`${COUNT} connections: ${(each / 1e3).toFixed(2)} kB of resident memory each`);
    const answers = sockets.map(
      (socket) =>
        new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString()))),
    );
    for (const socket of sockets) socket.write('still');
    assert.deepEqual(new Set(await Promise.all(answers)), new Set(['still']));
    assert.ok(each < BYTES_EACH_MAX, `${each} bytes each`);
    for (const socket of sockets) socket.destroy();
    await until('all are gone', async () => (await metric()) === 0);
  },
);
