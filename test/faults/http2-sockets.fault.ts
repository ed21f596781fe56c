/** Faults of single endpoints and callers of HTTP/2 over real sockets. Others are served normally meanwhile. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { PREFACE } from '../../src/proxy/http2/codec/frame.ts';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { ownRange } from '../support/ranges.ts';
import { frame, headers } from '../support/http2-peer.ts';
import { EndpointsProcess } from './support/children.ts';
import { framed } from './support/grpc-message.ts';
import { Loads, manifestsOf, openAll } from './support/ways.ts';

const PORT = 20_061;
const PODS = ownRange();
const SLOW = 300;
const HEAD_TIMEOUT_MS = 2_000;
/** Later than a busy machine is with a limit, and long before anything else would end what is limited here. */
const SOON_MS = 15_000;
const folder = new Folder();
const servers = new EndpointsProcess();
const stops: (() => void)[] = [];
/** Connections to the endpoint that is killed once its caller has half a response: a reset overtakes what nobody has read yet. */
const dying = new Set<net.Socket>();
let mesh: Mesh;

/** An endpoint that does with a connection as it likes. */
async function raw(
  address: string,
  serve: (socket: net.Socket) => void,
): Promise<{ address: string; port: number }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(0, address);
  await once(server, 'listening');
  stops.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { address, port: (server.address() as net.AddressInfo).port };
}

before(async () => {
  const good = { address: PODS.host(1), port: 21_061 };
  await openAll(servers, [good]);
  const dies = await raw(PODS.host(2), (socket) => {
    dying.add(socket);
    socket.write(frame(4, 0, 0));
    let said = 0;
    socket.on('data', () => {
      if (said++ > 0) return;
      const type = ['content-type', 'application/grpc'] as const;
      const head = headers(1, [[':status', '200'], type]);
      socket.write(Buffer.concat([head, frame(0, 0, 1, framed('half').subarray(0, 7))]));
    });
  });
  const silent = await raw(PODS.host(3), (socket) => socket.resume());
  const keep = { 'maesh.dev/eject-consecutive-failures': '0' };
  const quick = { ...keep, 'maesh.dev/timeout-try': '300ms' };
  const retry = {
    ...keep,
    // Longer than a busy machine takes with the other endpoint, which answers.
    'maesh.dev/timeout-try': '2s',
    'maesh.dev/retry-attempts': '2',
    'maesh.dev/retry-on': 'timeout',
    'maesh.dev/retry-non-idempotent': 'true',
    'maesh.dev/balance': 'round-robin',
  };
  const ports = [{ name: 'http', port: PORT, appProtocol: 'grpc' }];
  const grpc = (key: string, annotations: Readonly<Record<string, string>>) =>
    service(key, PORT, { annotations, spec: { ports } });
  folder.put(
    'all.yaml',
    ...manifestsOf(PORT, [good]),
    grpc('s/dies', keep),
    endpoints('s/dies', [dies]),
    grpc('s/silent', quick),
    endpoints('s/silent', [silent]),
    grpc('s/mixed', retry),
    endpoints('s/mixed', [{ ...good, port: good.port + 1 }, silent]),
  );
  mesh = await Mesh.start({
    paths: [folder.path],
    cidr: ownRange().cidr,
    threads: 2,
    flags: ['--head-timeout', `${HEAD_TIMEOUT_MS}ms`],
  });
});

after(async () => {
  await mesh.stop();
  servers.stop();
  for (const stop of stops) stop();
  folder.remove();
});

interface Answer {
  readonly status: number;
  readonly grpc: string;
  /** Bytes of the content. */
  readonly bytes: number;
}

/** One call of gRPC. */
async function call(key: string, onData = (): void => undefined): Promise<Answer> {
  const session = http2.connect(`http://${await mesh.addressOf(key)}:${PORT}`);
  const stream = session.request({
    ':path': '/load.Echo/Once',
    ':method': 'POST',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let answer: Answer = { status: 0, grpc: '', bytes: 0 };
  const note = (fields: http2.IncomingHttpHeaders): void => {
    answer = { ...answer, grpc: String(fields['grpc-status'] ?? '') };
  };
  stream.on('error', () => undefined);
  stream.on('response', (fields) => {
    answer = { ...answer, status: Number(fields[':status']) };
    note(fields);
  });
  stream.on('trailers', note);
  stream.on('data', (data: Buffer) => {
    answer = { ...answer, bytes: answer.bytes + data.length };
    onData();
  });
  stream.end(framed('message'));
  await new Promise((resolve) => stream.once('close', resolve));
  session.destroy();
  return answer;
}

test('an endpoint killed inside its response ends the call with a status of failure, so that nobody takes it for whole', async () => {
  assert.deepEqual(await mesh.problems(), []);
  const { status, grpc, bytes } = await call('s/dies', () => {
    for (const socket of dying) socket.resetAndDestroy();
  });
  assert.deepEqual([status, grpc, bytes], [200, '14', 7]);
  assert.equal((await call('s/grpc')).grpc, '0');
});

test('an endpoint that never answers costs its caller a status in time, and with a retry nobody notices', async (t) => {
  const startMs = performance.now();
  const { status, grpc } = await call('s/silent');
  const tookMs = performance.now() - startMs;
  t.diagnostic(`grpc-status ${grpc} after ${tookMs.toFixed(0)} ms of 300 ms`);
  assert.deepEqual([status, grpc], [200, '4']);
  assert.ok(tookMs >= 300 && tookMs < SOON_MS);
  const answers = await Promise.all(Array.from({ length: 8 }, () => call('s/mixed')));
  assert.deepEqual(new Set(answers.map((answer) => answer.grpc)), new Set(['0']));
});

/** Says the beginning of a head, and a byte of it now and then; how long it was let do so. */
function slow(host: string): Promise<number> {
  return new Promise((resolve) => {
    const startMs = performance.now();
    const socket = net.connect({ host, port: PORT });
    const head = headers(1, [
      [':method', 'GET'],
      ['x', 'y'.repeat(200)],
    ]);
    socket.write(Buffer.concat([PREFACE, frame(4, 0, 0), head.subarray(0, 20)]));
    let at = 20;
    const drip = setInterval(() => socket.write(head.subarray(at, ++at)), 200);
    socket.on('error', () => undefined);
    socket.resume();
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      clearInterval(drip);
      resolve(performance.now() - startMs);
    });
  });
}

test('hundreds of callers with slow heads are cut in time while others are served as ever', async (t) => {
  const load = await Loads.start(t, {
    at: async (key) => ({ host: await mesh.addressOf(key), port: PORT }),
    keepAlive: 8,
    newPerSecond: 50,
    thinkMs: 5,
  });
  const host = await mesh.addressOf('s/grpc');
  const all = await Promise.all(Array.from({ length: SLOW }, () => slow(host)));
  const lastedMs = all.toSorted((a, b) => a - b);
  t.diagnostic(
    `${SLOW} slow callers cut after ${lastedMs[0]?.toFixed(0)} to ${lastedMs.at(-1)?.toFixed(0)} ms, limit ${HEAD_TIMEOUT_MS} ms`,
  );
  await load.stopWithoutFailure(t);
  assert.ok((lastedMs[0] ?? 0) >= HEAD_TIMEOUT_MS - 100);
  assert.ok((lastedMs.at(-1) ?? Infinity) < HEAD_TIMEOUT_MS + SOON_MS);
});
