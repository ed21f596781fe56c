/** Copies of calls of gRPC: what the endpoint of a mirror says by a status of gRPC counts for it as for any other endpoint. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { GRPC_CODES } from '../../src/model/grpc-status.ts';
import { ENDPOINT_OWN, MIRROR_RESULTS, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { GrpcCaller, grpcEndpoint, message, OK, type Serve, status } from '../support/grpc.ts';
import { mirrored, mirrorTo } from '../support/mirrored.ts';
import { TestProxy } from '../support/proxy.ts';
import { eventually } from '../support/wire.ts';

/** A Service whose calls are copied to endpoints that answer so. */
async function setUp(t: TestContext, ...serves: readonly Serve[]) {
  const proxy = new TestProxy(t);
  const own = await grpcEndpoint(t, OK);
  const copied = await Promise.all(serves.map((serve) => grpcEndpoint(t, serve)));
  const shadow = proxy.service({ key: 'shop/shadow', endpoints: copied, http2: true });
  const plain = proxy.service({ key: 'shop/web', endpoints: [own], http2: true });
  const web = mirrored(plain, [mirrorTo(shadow)]);
  await proxy.apply([shadow, web]);
  const caller = new GrpcCaller(t, web);
  const answered = SERVICE_OWN.mirrored + MIRROR_RESULTS.indexOf('answered');
  let calls = 0;
  /** The caller gets what its own endpoint says; returns once the copy is answered, too. */
  const call = async (fields: Record<string, string> = {}): Promise<void> => {
    calls++;
    const answer = await caller.call(fields);
    assert.deepEqual([answer.status, answer.grpc], [200, '0']);
    await eventually(() => proxy.figure(web, answered) === calls, 'the copy');
  };
  /** Of the first of them. */
  const figure = (cell: number): number => {
    const [first] = copied;
    assert(first !== undefined);
    return proxy.endpointFigure(shadow, first, cell);
  };
  return { copied, call, figure };
}

const WAYS: readonly (readonly [name: string, make: (status: string) => Serve])[] = [
  ['in a head alone', (code) => status(code)],
  ['in trailers', (code) => message({ 'grpc-status': code })],
];

for (const [where, make] of WAYS) {
  test(`each status of gRPC ${where} that a copy is answered counts as its HTTP status`, async (t) => {
    // oxlint-disable no-await-in-loop -- one after the other
    for (const [number, { name, http }] of GRPC_CODES.entries()) {
      const { call, figure } = await setUp(t, make(String(number)));
      await call();
      assert.equal(figure(ENDPOINT_OWN.requests + Math.floor(http / 100)), 1, name);
      const isFailure = name === 'UNAVAILABLE' || name === 'DEADLINE_EXCEEDED';
      assert.equal(figure(ENDPOINT_OWN.failed), isFailure ? 1 : 0, name);
    }
    // oxlint-enable no-await-in-loop
  });
}

test('an endpoint that fails copies of calls in a row is ejected', async (t) => {
  const { copied, call } = await setUp(t, message({ 'grpc-status': '14' }), OK);
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (let i = 0; i < 40; i++) await call();
  assert.deepEqual(
    copied.map(({ calls }) => calls.length),
    [5, 35],
  );
});

test('an endpoint that gives a copy up when its caller would have is not blamed', async (t) => {
  const { call, figure } = await setUp(t, status(4));
  await call({ 'grpc-timeout': '1H' });
  assert.deepEqual([figure(ENDPOINT_OWN.failed), figure(ENDPOINT_OWN.abandoned)], [0, 1]);
});

test('what is no call of gRPC is copied as what its HTTP status says', async (t) => {
  const { call, figure } = await setUp(t, message({ 'grpc-status': '14' }));
  await call({ 'content-type': 'application/json' });
  assert.equal(figure(ENDPOINT_OWN.failed), 0);
  assert.equal(figure(ENDPOINT_OWN.requests + 2), 1);
});
