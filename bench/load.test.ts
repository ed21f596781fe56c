import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { test } from 'node:test';
import { runLoad } from './load.ts';
import { portOf } from '../test/support/ports.ts';

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return portOf(server);
}

test('runLoad() sends what is due and nothing more', async () => {
  let seen = 0;
  const server = createServer((_, response) => {
    seen += 1;
    response.end('Hello, world!');
  });
  const port = await listening(server);
  const result = await runLoad({
    target: { host: '127.0.0.1', port, path: '/', headers: '' },
    rate: 500,
    connections: 4,
    durationMs: 400,
    cutsMs: [100],
  });
  server.close();
  assert.equal(seen, 200);
  assert.equal(result.completed, 200);
  assert.equal(result.windows[0]?.count, 50);
  assert.equal(result.failed, 0);
  assert.equal(result.unsent, 0);
});

test('a stall counts for every request that was due during it', async () => {
  let seen = 0;
  const server = createServer((_, response) => {
    seen += 1;
    if (seen === 50) {
      const until = performance.now() + 200;
      while (performance.now() < until);
    }
    response.end('x');
  });
  const port = await listening(server);
  const result = await runLoad({
    target: { host: '127.0.0.1', port, path: '/', headers: '' },
    rate: 250,
    connections: 2,
    durationMs: 400,
    cutsMs: [],
  });
  server.close();
  assert.equal(result.completed, 100);
  // 200 ms at 250 a second stalls about 50 of the 100: a generator that waits for answers would see two slow ones.
  assert.ok(result.steady.p50Micros < result.steady.maxMicros);
  assert.ok(result.steady.maxMicros >= 190_000, `${result.steady.maxMicros}`);
  assert.ok(result.steady.p99Micros >= 150_000, `${result.steady.p99Micros}`);
});

test('answers other than 200 and broken connections are failures, and the schedule goes on', async () => {
  let seen = 0;
  const server = createServer((request, response) => {
    seen += 1;
    if (seen % 10 === 0) request.socket.destroy();
    else if (seen % 10 === 5) response.writeHead(503, { 'Content-Length': 0 }).end();
    else response.writeHead(200, { 'Content-Length': 1, Connection: 'close' }).end('x');
  });
  const port = await listening(server);
  const result = await runLoad({
    target: { host: '127.0.0.1', port, path: '/', headers: '' },
    rate: 500,
    connections: 4,
    durationMs: 200,
    cutsMs: [],
  });
  server.close();
  assert.equal(result.completed + result.failed, 100);
  assert.equal(result.failed, 20);
});
