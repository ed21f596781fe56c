/**
 * The two system calls of every request reach the kernel without a detour. That depends on what the compiler of the runtime puts
 * into one function, and so on a flag of the command that ships (docs/decisions/sockets.md); a lost one fails no other test.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { Folder, service, endpoints } from './support/manifests.ts';
import { Mesh } from './support/mesh.ts';
import { ownRange } from '../support/ranges.ts';

const folder = new Folder();
const CALLERS = 8;
/** Some 5,000 are enough on a machine that does nothing else: the compiler works beside the requests. */
const ROUNDS_MAX = 20_000;

/** The compiler works between the requests, not beside them: else its lines break into those of other threads, and wait for the core. */
const TRACE = `import { setFlagsFromString } from 'node:v8';
setFlagsFromString('--no-concurrent-recompilation');
setFlagsFromString('--trace-turbo-inlining');`;
const REQUEST = 'GET / HTTP/1.1\r\nHost: web.s.maesh\r\n\r\n';
const RESPONSE = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

const endpoint = net.createServer((socket) => {
  socket.on('data', () => socket.write(RESPONSE)).on('error', () => socket.destroy());
});

before(async () => {
  endpoint.listen(0, '127.0.0.1');
  await once(endpoint, 'listening');
  const { port } = endpoint.address() as net.AddressInfo;
  folder.put(
    'web.yaml',
    service('s/web', 20_061),
    endpoints('s/web', [{ address: '127.0.0.1', port }]),
  );
});

after(() => {
  endpoint.close();
  folder.remove();
});

test('read and write are compiled into their callers', async (t) => {
  const mesh = await Mesh.start({
    paths: [folder.path],
    cidr: ownRange().cidr,
    env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(TRACE)}` },
  });
  t.after(() => mesh.stop());
  const { threads } = await mesh.json<{ threads: { sockets: string }[] }>('/api/threads');
  if (threads[0]?.sockets !== 'system') return t.skip('the sockets are those of the runtime');

  const host = await mesh.addressOf('s/web');
  const isCompiled = (name: string): boolean =>
    new RegExp(`SharedFunctionInfo invoke>} into .*SharedFunctionInfo ${name}>}`).test(mesh.stdout);
  const areCompiled = (): boolean => isCompiled('read') && isCompiled('write');
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      const socket = net.connect(20_061, host);
      for (let round = 0; round < ROUNDS_MAX && !areCompiled(); round++) {
        socket.write(REQUEST);
        // oxlint-disable-next-line no-await-in-loop -- the next request follows the response
        await once(socket, 'data');
      }
      socket.destroy();
    }),
  );
  // The last of what the runtime says of its compiler stays in a buffer until the process ends.
  await mesh.stop();
  assert.ok(isCompiled('read'), 'read goes through the runtime');
  assert.ok(isCompiled('write'), 'write goes through the runtime');
});
