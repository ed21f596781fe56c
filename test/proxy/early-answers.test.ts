/** Endpoints that answer before they have read the request and close with the rest unread, as many servers refuse uploads. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { ENDPOINT_OWN } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, proxyFor } from '../support/proxy.ts';
import { atEnd, type Dialled, eventually, RawEndpoint } from '../support/wire.ts';

/** On a thread of its own, so that its reset comes at any moment of the proxy's turn. */
const REFUSING = `
  const { parentPort, workerData } = require('node:worker_threads');
  const net = require('node:net');
  const server = net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => {
      socket.pause();
      socket.write(workerData.answer, () => socket.destroy());
    });
  });
  server.listen({ host: workerData.address, port: 0 }, () => parentPort.postMessage(server.address().port));
`;

async function refusing(t: TestContext, answer: string): Promise<Dialled> {
  const address = freshAddress();
  const worker = new Worker(REFUSING, { eval: true, workerData: { address, answer } });
  atEnd(t, async () => void (await worker.terminate()));
  const port = await new Promise<number>((resolve) => worker.once('message', resolve));
  return { address, port };
}

const BODY = 1 << 20;
const UPLOADS = 60;

for (const [name, end, answer] of [
  [
    '413',
    'big',
    'HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig',
  ],
  [
    '401 without Connection: close',
    'who',
    'HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nwho',
  ],
  [
    '404 in chunks',
    '0\r\n\r\n',
    'HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwho\r\n0\r\n\r\n',
  ],
] as const) {
  test(`a ${name} ahead of a reset reaches every caller, and blames nobody`, async (t) => {
    const endpoint = await refusing(t, answer);
    const { proxy, service } = await proxyFor(t, [endpoint], {
      policies: { ejection: { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 1 } },
    });
    const statuses = new Map<string, number>();
    for (let i = 0; i < UPLOADS; i++) {
      // oxlint-disable no-await-in-loop -- one after the other
      const caller = await proxy.call(service);
      caller.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY}\r\n\r\n`);
      for (let sent = 0; sent < BODY; sent += 1 << 16) caller.write(Buffer.alloc(1 << 16, 120));
      const status = (await caller.head()).slice(9, 12);
      if (status === name.slice(0, 3)) await caller.until(end);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      caller.socket.destroy();
      // oxlint-enable no-await-in-loop
    }
    assert.deepEqual([...statuses], [[name.slice(0, 3), UPLOADS]]);
    assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
  });
}

test('an answer longer than one read, ahead of a reset, waits for a slow caller and is whole', async (t) => {
  const length = 120_000;
  const endpoint = await refusing(
    t,
    `HTTP/1.1 413 Big\r\nContent-Length: ${length}\r\n\r\n${'z'.repeat(length)}`,
  );
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY}\r\n\r\n`);
  caller.write(Buffer.alloc(BODY, 120));
  assert.match(await caller.head(), /^HTTP\/1\.1 413 Big\r\n/);
  assert.equal(await caller.bytes(length), 'z'.repeat(length));
});

test('a reset without an answer is told as what it is', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    await wire.head();
    wire.reset();
  });
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY}\r\n\r\n`);
  for (let i = 0; i < 4; i++) caller.write(Buffer.alloc(1 << 16, 120));
  assert.match(await caller.rest(), /^HTTP\/1\.1 502 .*endpoint_reset/s);
});

test('an interim response other than 100 is no word to send the body: a failure behind it is the last answer', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  for (const [interim, isLast] of [
    ['HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', true],
    ['HTTP/1.1 102 Processing\r\n\r\n', true],
    ['HTTP/1.1 100 Continue\r\n\r\n', false],
  ] as const) {
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await proxy.call(service);
    caller.write('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
    const wire = await endpoint.next();
    await wire.head();
    wire.write(interim);
    assert.equal(await caller.head(), interim);
    wire.reset();
    const head = await caller.head();
    assert.match(head, /^HTTP\/1\.1 502 /);
    // Else the next request of a caller that sends no body now would be read as that body.
    assert.equal(/^connection: close\r$/im.test(head), isLast, interim);
    caller.socket.destroy();
    // oxlint-enable no-await-in-loop
  }
});

test('who makes room for others while the rest of its body comes in has its answer, and no reset behind it', async (t) => {
  const { proxy, service } = await proxyFor(t, [], { settings: { callerConnectionsMax: 2 } });
  const source = freshAddress();
  const callers = [await proxy.call(service, source), await proxy.call(service, source)];
  for (const caller of callers) {
    caller.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12');
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.match(await caller.until('no_endpoint'), /^HTTP\/1\.1 503 /);
  }
  await proxy.call(service, freshAddress());
  await eventually(() => callers.some(({ ending }) => ending !== 'open'), 'one to go');
  assert.deepEqual(callers.map(({ ending }) => ending).toSorted(), ['ended', 'open']);
});
