import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ManualClock } from '../../src/base/clock.ts';
import { Caller, type Outcome } from './caller.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, index: number) => void;

/** Sends ten requests, one each 100 ms of its own clock, and returns what the caller saw. */
async function callTen(answer: Answer): Promise<{ outcome: Outcome; sources: Set<string> }> {
  let index = 0;
  const sources = new Set<string>();
  const server = createServer((request, response) => {
    sources.add(request.socket.remoteAddress ?? '');
    answer(request, response, index++);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.1.99.4', resolve));
  const clock = new ManualClock();
  const { port } = server.address() as AddressInfo;
  const caller = new Caller({
    service: 'web',
    address: '127.1.99.4',
    port,
    host: 'web.shop.maesh',
    speaks: 'http',
    requestsPerSecond: 10,
    source: '127.1.99.5',
    clock,
  });
  caller.start();
  clock.advance(1_001);
  await caller.stop();
  const outcome = caller.outcome();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  return { outcome, sources };
}

test('Caller keeps its rate, its address and its books', async () => {
  const { outcome, sources } = await callTen((request, response) => {
    assert.equal(request.headers.host, 'web.shop.maesh');
    response.setHeader('x-served-by', 'web-1');
    response.end('x');
  });
  assert.deepEqual(sources, new Set(['127.1.99.5']));
  assert.equal(outcome.sent, 10);
  assert.deepEqual(outcome.statuses, { 200: 10 });
  assert.deepEqual(outcome.pods, { 'web-1': 10 });
  assert.deepEqual([outcome.errors, outcome.inFlight, outcome.movedUsers], [{}, 0, 0]);
});

test('Caller tells lost requests and refusals with and without a hint apart', async () => {
  const { outcome } = await callTen((_request, response, index) => {
    if (index === 0) response.destroy();
    else if (index === 1) response.writeHead(503, { 'retry-after': '1' }).end();
    else if (index === 2) response.writeHead(429).end();
    else if (index === 3) {
      response.writeHead(200, { 'content-length': '10' });
      response.write('short');
      response.socket?.end();
    } else response.writeHead(200, { 'x-served-by': 'web-1' }).end();
  });
  assert.equal(outcome.sent, 10);
  assert.equal(
    Object.values(outcome.errors).reduce((sum, count) => sum + count, 0),
    2,
  );
  assert.deepEqual(outcome.statuses, { 200: 6, 429: 1, 503: 1 });
  assert.deepEqual([outcome.refusedWithHint, outcome.refusedWithoutHint], [1, 1]);
});
