import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { MeshError } from '../../base/error.ts';
import { ApiError } from './api-error.ts';
import { FakeApiServer, until } from './api-server.fixture.ts';
import { KubeClient } from './client.ts';
import type { Connection } from './connection.ts';
import { resourcePath } from './path.ts';

const CONFIG_MAPS = resourcePath({ version: 'v1', plural: 'configmaps', namespace: 'maesh' });

async function setUp(
  t: TestContext,
  overrides: Partial<Connection> = {},
): Promise<{ server: FakeApiServer; client: KubeClient; clock: ManualClock }> {
  const server = await FakeApiServer.start();
  const clock = new ManualClock();
  const client = new KubeClient(server.connection(overrides), { clock });
  t.after(async () => {
    client.close();
    await server.stop();
  });
  return { server, client, clock };
}

function configMap(name: string, data: Record<string, string>): Record<string, unknown> {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'maesh' }, data };
}

test('resourcePath() knows core and other groups, namespaces and subresources', () => {
  assert.equal(resourcePath({ version: 'v1', plural: 'nodes' }), '/api/v1/nodes');
  const slices = { group: 'discovery.k8s.io', version: 'v1', plural: 'endpointslices' };
  assert.equal(resourcePath(slices), '/apis/discovery.k8s.io/v1/endpointslices');
  assert.equal(
    resourcePath({
      version: 'v1',
      plural: 'pods',
      namespace: 'a',
      name: 'b',
      subresource: 'status',
    }),
    '/api/v1/namespaces/a/pods/b/status',
  );
});

test('create(), get(), patch(), apply() and delete() do what they say', async (t) => {
  const { server, client } = await setUp(t);
  const made = await client.create(CONFIG_MAPS, configMap('a', { x: '1' }));
  const path = `${CONFIG_MAPS}/a`;
  assert.deepEqual(made['data'], { x: '1' });
  await client.patch(path, { data: { x: '2', y: '3' } });
  await client.apply(path, configMap('a', { z: '4' }), { force: true });
  const got = await client.get(path);
  assert.deepEqual(got['data'], { x: '2', y: '3', z: '4' });
  const sent = server.requests.map(({ method, headers, query }) =>
    [method, headers['content-type'] ?? '', query.toString()].join(' '),
  );
  assert.deepEqual(sent, [
    'POST application/json fieldManager=maesh',
    'PATCH application/merge-patch+json fieldManager=maesh',
    'PATCH application/apply-patch+yaml fieldManager=maesh&force=true',
    'GET  ',
  ]);
  assert.match(server.requests[0]?.headers['user-agent'] ?? '', /^maesh\/\d/);
  await assert.rejects(client.delete(path, { uid: 'another' }), {
    status: 409,
    reason: 'Conflict',
  });
  await client.delete(path);
  assert.deepEqual(server.objects('v1/configmaps'), []);
});

test('errors of the server are told apart', async (t) => {
  const { server, client } = await setUp(t);
  server.set('v1/configmaps', { metadata: { name: 'a', namespace: 'maesh' } });
  await assert.rejects(client.get(`${CONFIG_MAPS}/none`), { isNotFound: true, code: 'not_found' });
  await assert.rejects(client.create(CONFIG_MAPS, configMap('a', {})), {
    status: 409,
    reason: 'AlreadyExists',
  });
  const stale = { metadata: { name: 'a', resourceVersion: '1' } };
  await assert.rejects(client.request({ method: 'PUT', path: `${CONFIG_MAPS}/a`, body: stale }), {
    status: 409,
    reason: 'Conflict',
  });
  server.answers.push(
    { status: 403, reason: 'Forbidden', message: 'User "x" cannot list' },
    { status: 429, reason: 'TooManyRequests', retryAfter: 7 },
    { status: 429, reason: 'TooManyRequests', retryAfter: 1_000_000 },
    { status: 410, reason: 'Expired' },
    { status: 502, raw: '<html>Bad gateway</html>' },
    { status: 200, raw: '<html>Log in here</html>' },
    { status: 200, raw: '[]' },
  );
  const errors: unknown[] = [];
  for (let i = 0; i < 7; i++) {
    await client.get(CONFIG_MAPS).catch((error: unknown) => errors.push(error));
  }
  const [forbidden, busy, veryBusy, gone, html, login, list] = errors;
  assert.ok(forbidden instanceof ApiError && forbidden.isForbidden);
  assert.equal(
    forbidden.message,
    `Cannot GET "${CONFIG_MAPS}": 403 Forbidden: User "x" cannot list; grant it with a Role or ClusterRole`,
  );
  assert.ok(busy instanceof ApiError && busy.isTooManyRequests && busy.retryAfterMs === 7_000);
  assert.ok(veryBusy instanceof ApiError && veryBusy.retryAfterMs === 120_000);
  assert.ok(gone instanceof ApiError && gone.isGone);
  assert.ok(html instanceof ApiError && html.status === 502 && /Bad gateway/.test(html.message));
  assert.ok(login instanceof MeshError && /is not JSON but "<html>/.test(login.message));
  assert.ok(list instanceof MeshError && /is not an object/.test(list.message));
});

test('a 401 makes it read the credentials again, once', async (t) => {
  let token = 'old';
  const seen: string[] = [];
  const { server, client } = await setUp(t, {
    access: async () => ({ headers: { authorization: `Bearer ${token}` }, tls: {} }),
    forget: () => {
      seen.push(token);
      token = 'new';
    },
  });
  server.tokens = new Set(['new']);
  await client.get('/version');
  assert.deepEqual(seen, ['old']);
  server.tokens = new Set();
  await assert.rejects(client.get('/version'), { isUnauthorized: true });
  assert.equal(server.requests.length, 4);
});

test('a server that does not answer is given up in time', async (t) => {
  const { server, client, clock } = await setUp(t);
  server.isMute = true;
  const outcome = assert.rejects(client.get('/version', { timeoutMs: 5_000 }), {
    code: 'connect_timeout',
    message: `Cannot GET "/version": no answer from "${server.url}" in 5000 ms`,
  });
  await until(() => server.requests.length === 1);
  clock.advance(5_000);
  await outcome;
});

test('a signal and close() end what is under way', async (t) => {
  const { server, client } = await setUp(t);
  server.isMute = true;
  const abort = new AbortController();
  const first = assert.rejects(client.get('/version', { signal: abort.signal }), /no longer/);
  await until(() => server.requests.length === 1);
  abort.abort(new Error('no longer wanted'));
  await first;
  const second = assert.rejects(client.get('/version'), /was closed/);
  await until(() => server.requests.length === 2);
  client.close();
  await second;
  await assert.rejects(client.get('/version'), /was closed/);
});

test('a server that is away says what to look at', async (t) => {
  const { server, client } = await setUp(t);
  await server.down();
  await assert.rejects(client.get('/version'), {
    code: 'connect_refused',
    message: /^Cannot GET "\/version" at "http:.*ECONNREFUSED.*; is the API server running\?$/,
  });
});

test('requests share a connection, and one that the server closed is made anew', async (t) => {
  const { server, client } = await setUp(t);
  await client.get('/version');
  await client.get('/version');
  await server.down();
  await server.up();
  await client.get('/version');
  assert.equal(server.requests.length, 3);
});

test('stream() hands on values, ends with the server, and tells a cut from an end', async (t) => {
  const { server, client } = await setUp(t);
  const signal = new AbortController().signal;
  const query = { watch: true, resourceVersion: '1000' };
  for (const end of ['end', 'cut'] as const) {
    const values: unknown[] = [];
    const streaming = client.stream({
      path: '/api/v1/services',
      query,
      signal,
      silenceMs: 60_000,
      onValue: (value) => values.push(value),
    });
    const outcome =
      end === 'end'
        ? assert.doesNotReject(streaming)
        : assert.rejects(streaming, { code: 'connection_reset' });
    await until(() => server.watchers === 1);
    server.sendLine('{"a":"ü"}\n{"b":');
    server.sendLine('2}\n');
    await until(() => values.length === 2);
    assert.deepEqual(values, [{ a: 'ü' }, { b: 2 }]);
    if (end === 'end') server.endWatches();
    else server.cutWatches(true);
    await outcome;
  }
});

test('stream() is cut after silence, and only then', async (t) => {
  const { server, client, clock } = await setUp(t);
  const values: unknown[] = [];
  const outcome = assert.rejects(
    client.stream({
      path: '/api/v1/services',
      query: { watch: true, resourceVersion: '1000' },
      signal: new AbortController().signal,
      silenceMs: 60_000,
      onValue: (value) => values.push(value),
    }),
    { code: 'connect_timeout', message: /was silent for 60000 ms/ },
  );
  await until(() => server.watchers === 1);
  server.sendLine('1\n');
  await until(() => values.length === 1);
  clock.advance(50_000);
  server.sendLine('2\n');
  await until(() => values.length === 2);
  clock.advance(50_000);
  server.sendLine('3\n');
  await until(() => values.length === 3);
  clock.advance(60_000);
  await outcome;
});
