import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test, type TestContext } from 'node:test';

import { systemClock } from '../../base/clock.ts';
import { call } from './call.ts';
import { Responder } from './responder.ts';

const HOST = 'maesh-probe.maesh.maesh';

/** A server that answers every connection with these bytes. */
async function serve(context: TestContext, bytes: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(bytes));
  });
  context.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}

test('call() works where the endpoint of the mesh answers', async () => {
  const responder = new Responder({ host: '127.0.0.1', port: 0 });
  const { port } = await responder.start();
  const { state, detail, durationMs } = await call(
    { address: '127.0.0.1', port, host: HOST },
    systemClock,
  );
  assert.deepEqual([state, detail], ['works', '']);
  assert.ok(durationMs > 0);
  await responder.stop();
  const after = await call({ address: '127.0.0.1', port, host: HOST }, systemClock);
  assert.deepEqual([after.state, after.detail], ['no-connection', 'ECONNREFUSED']);
});

test('call() says what the mesh answered instead, and that somebody else did', async (context) => {
  const answers: readonly (readonly [bytes: string, detail: RegExp])[] = [
    [
      'HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 28\r\n\r\nmaesh: connect_timeout: late\n',
      /^504 connect_timeout$/,
    ],
    ['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello', /^200$/],
    ['', /^ECONNRESET$/],
    ['SSH-2.0-x\r\n', /^HPE_/],
    ['HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\nok\n', /cut off|ECONNRESET/],
  ];
  for (const [bytes, detail] of answers) {
    const port = await serve(context, bytes);
    const found = await call({ address: '127.0.0.1', port, host: HOST }, systemClock);
    assert.equal(found.state, 'failed', bytes);
    assert.match(found.detail, detail);
  }
});
