import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ManualClock } from '../base/clock.ts';
import { FakeApi, FakeApiError, settle } from '../kube/api/fake-api.fixture.ts';
import { tokenAuthenticator, type TokenAuthenticator } from './token.ts';

const AUDIENCE = 'maesh-discovery';
const ACCOUNT = 'system:serviceaccount:maesh:maesh-agent';
const PEER = '10.0.0.7';

function token(pod: string, expiresAtMs: number): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256' })}.${part({ sub: pod, exp: expiresAtMs / 1_000 })}.c2ln`;
}

function status(pod: string, change: object = {}): object {
  return {
    authenticated: true,
    audiences: [AUDIENCE],
    user: {
      username: ACCOUNT,
      extra: { 'authentication.kubernetes.io/pod-name': [pod] },
    },
    ...change,
  };
}

interface Bed {
  readonly api: FakeApi;
  readonly clock: ManualClock;
  readonly authenticate: TokenAuthenticator;
  readonly reviews: () => number;
}

function bed(
  answer: (token: string) => unknown = () => ({ status: status('maesh-agent-x') }),
): Bed {
  const api = new FakeApi();
  api.answer = ({ body }) => answer((body as { spec: { token: string } }).spec.token);
  const clock = new ManualClock();
  const options = { api, audience: AUDIENCE, serviceAccount: ACCOUNT, clock };
  return {
    api,
    clock,
    authenticate: tokenAuthenticator(options),
    reviews: () => api.requests.length,
  };
}

test('a token of an agent is accepted with the name of its Pod, and asked for our audience', async () => {
  const { api, clock, authenticate } = bed();
  const presented = token('a', clock.wallMs() + 600_000);
  assert.deepEqual(await authenticate(presented, PEER), { ok: true, agent: 'maesh/maesh-agent-x' });
  const { path, method, body } = api.requests[0]!;
  assert.equal(`${method} ${path}`, 'POST /apis/authentication.k8s.io/v1/tokenreviews');
  assert.deepEqual((body as { spec: object }).spec, { token: presented, audiences: [AUDIENCE] });
});

for (const [what, answer, reason] of [
  ['that the API server does not know', { status: { authenticated: false } }, 'rejected'],
  [
    'for another audience',
    { status: status('x', { audiences: ['https://kubernetes'] }) },
    'audience',
  ],
  ['whose audience nobody checked', { status: status('x', { audiences: undefined }) }, 'audience'],
  [
    'of another ServiceAccount',
    {
      status: status('x', {
        user: {
          username: 'system:serviceaccount:shop:maesh-agent',
          extra: { 'authentication.kubernetes.io/pod-name': ['x'] },
        },
      }),
    },
    'user',
  ],
  ['bound to no Pod', { status: status('x', { user: { username: ACCOUNT } }) }, 'unbound'],
  ['that gets an answer without sense', 'OK', 'rejected'],
] as const) {
  test(`a token ${what} is refused: ${reason}`, async () => {
    const { clock, authenticate } = bed(() => answer);
    const verdict = await authenticate(token('a', clock.wallMs() + 600_000), PEER);
    assert.deepEqual(verdict, { ok: false, reason });
  });
}

test('what cannot be a token is refused without a question', async () => {
  const { authenticate, reviews } = bed();
  for (const bad of ['', 'a.b', 'a.b.c d', 'a.b.c\n', `a.${'b'.repeat(20_000)}.c`]) {
    assert.deepEqual(await authenticate(bad, PEER), { ok: false, reason: 'malformed' });
  }
  assert.equal(reviews(), 0);
});

test('an accepted token is accepted again for ten seconds, then asked about anew; a refused one is always asked about', async () => {
  let known = true;
  const { clock, authenticate, reviews } = bed(() => ({
    status: known ? status('x') : { authenticated: false },
  }));
  const presented = token('a', clock.wallMs() + 600_000);
  await authenticate(presented, PEER);
  clock.advance(9_999);
  await authenticate(presented, PEER);
  assert.equal(reviews(), 1);
  known = false;
  clock.advance(1);
  assert.deepEqual(await authenticate(presented, PEER), { ok: false, reason: 'rejected' });
  assert.deepEqual(await authenticate(presented, PEER), { ok: false, reason: 'rejected' });
  assert.equal(reviews(), 3);
});

test('while the API server is away, only tokens that it had accepted get in, and only until they expire', async () => {
  const { api, clock, authenticate } = bed();
  const presented = token('a', clock.wallMs() + 600_000);
  await authenticate(presented, PEER);
  api.before = () => {
    throw new FakeApiError(503, 'ServiceUnavailable');
  };
  clock.advance(599_999);
  assert.equal((await authenticate(presented, PEER)).ok, true);
  const stranger = token('b', clock.wallMs() + 600_000);
  assert.deepEqual(await authenticate(stranger, PEER), { ok: false, reason: 'unavailable' });
  clock.advance(1);
  assert.deepEqual(await authenticate(presented, PEER), { ok: false, reason: 'unavailable' });
});

test('a token that was refused is not believed while the API server is away, though it was accepted before', async () => {
  let known = true;
  const { api, clock, authenticate } = bed(() => ({
    status: known ? status('x') : { authenticated: false },
  }));
  const presented = token('a', clock.wallMs() + 600_000);
  await authenticate(presented, PEER);
  clock.advance(10_000);
  known = false;
  await authenticate(presented, PEER);
  api.before = () => {
    throw new FakeApiError(503, 'ServiceUnavailable');
  };
  assert.deepEqual(await authenticate(presented, PEER), { ok: false, reason: 'unavailable' });
});

test('a token without a time of expiry is not believed while the API server is away', async () => {
  const { api, clock, authenticate } = bed();
  await authenticate('e30.e30.c2ln', PEER);
  clock.advance(10_000);
  api.before = () => {
    throw new FakeApiError(500, 'InternalError');
  };
  assert.equal((await authenticate('e30.e30.c2ln', PEER)).ok, false);
});

test('many at once are reviewed sixteen at a time, the same token once, and none is lost', async () => {
  let running = 0;
  let most = 0;
  const { api, clock, authenticate, reviews } = bed();
  const gates: (() => void)[] = [];
  api.before = async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise<void>((resolve) => gates.push(resolve));
    running -= 1;
  };
  const tokens = Array.from({ length: 200 }, (_, i) => token(String(i), clock.wallMs() + 600_000));
  const verdicts = Promise.all([...tokens, ...tokens].map((one) => authenticate(one, PEER)));
  for (let open = 0; open < 200;) {
    await settle(3);
    for (const gate of gates.splice(0)) {
      gate();
      open += 1;
    }
  }
  assert((await verdicts).every(({ ok }) => ok));
  assert.equal(most, 16);
  assert.equal(reviews(), 200);
});

test('beyond the queue there is a refusal instead of memory', async () => {
  const { api, clock, authenticate } = bed();
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  api.before = () => gate;
  const all = Array.from({ length: 16 + 2_048 + 5 }, (_, i) =>
    authenticate(token(String(i), clock.wallMs() + 600_000), PEER),
  );
  const busy = await Promise.all(all.slice(-5));
  assert(busy.every((verdict) => !verdict.ok && verdict.reason === 'busy'));
  open();
  assert((await Promise.all(all.slice(0, -5))).every(({ ok }) => ok));
});

test('an API server that hangs does not keep a known token waiting, and a stranger gets nothing', async () => {
  const { api, clock, authenticate } = bed();
  const presented = token('a', clock.wallMs() + 600_000);
  await authenticate(presented, PEER);
  clock.advance(10_000);
  let answer = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    answer = resolve;
  });
  api.before = () => gate;
  const stranger = authenticate(token('b', clock.wallMs() + 600_000), PEER);
  const known = authenticate(presented, PEER);
  let isThere = false;
  void stranger.then(() => {
    isThere = true;
  });
  await settle();
  clock.advance(2_000);
  assert.deepEqual(await known, { ok: true, agent: 'maesh/maesh-agent-x' });
  assert(!isThere);
  answer();
  assert.equal((await stranger).ok, true);
});

test('a token that waited too long for its turn is not asked about any more', async () => {
  const { api, clock, authenticate, reviews } = bed();
  let answer = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    answer = resolve;
  });
  api.before = () => gate;
  const all = Array.from({ length: 17 }, (_, i) =>
    authenticate(token(String(i), clock.wallMs() + 600_000), PEER),
  );
  await settle();
  clock.advance(4_001);
  answer();
  assert.deepEqual((await Promise.all(all)).at(-1), { ok: false, reason: 'busy' });
  assert.equal(reviews(), 16);
});
