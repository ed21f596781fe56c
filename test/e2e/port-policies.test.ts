/** A Service of two HTTP ports, each with policies of its own, called through `maesh up`. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { call } from './support/call.ts';
import { Folder } from './support/manifests.ts';
import { maesh, Mesh } from './support/mesh.ts';
import { until } from './support/until.ts';
import { ownRange } from '../support/ranges.ts';

const folder = new Folder();
const [WEB, SLOW, DATABASE] = [20_071, 20_072, 20_073];

/** Requests that it got, by path. */
const seen = new Map<string, number>();
const endpoint = http.createServer(({ url = '' }, response) => {
  const count = (seen.get(url) ?? 0) + 1;
  seen.set(url, count);
  if (url.startsWith('/never')) return;
  response.writeHead(url.startsWith('/flaky') && count % 2 === 1 ? 503 : 200).end('ok');
});

const ANNOTATIONS = {
  'maesh.dev/timeout-request': '20s',
  'maesh.dev/retry-on': 'status',
  // The next token comes after the test.
  'maesh.dev/ratelimit-average': '5',
  'maesh.dev/ratelimit-burst': '40',
  'maesh.dev/ratelimit-period': '1h',
  [`maesh.dev/port.${SLOW}.timeout-request`]: '1s',
  [`maesh.dev/port.${SLOW}.retry-attempts`]: '1',
};

function put(more: Readonly<Record<string, string>> = {}): void {
  const { port } = endpoint.address() as AddressInfo;
  const meta = { namespace: 'shop', name: 'web' };
  const ports = [
    { name: 'web', port: WEB },
    { name: 'http-slow', port: SLOW },
    { name: 'postgresql', port: DATABASE },
  ];
  folder.put(
    'web.yaml',
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { ...meta, annotations: { ...ANNOTATIONS, ...more } },
      spec: { ports },
    },
    {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: meta,
      subsets: [
        { addresses: [{ ip: '127.0.0.1' }], ports: ports.map(({ name }) => ({ name, port })) },
      ],
    },
  );
}

before(async () => {
  endpoint.listen(0, '127.0.0.1');
  await once(endpoint, 'listening');
  put();
});

after(() => {
  endpoint.closeAllConnections();
  endpoint.close();
  folder.remove();
});

test('each port has its own time limits, retries and rate limit, and says so', async (t) => {
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
  t.after(() => mesh.stop());
  const address = await mesh.addressOf('shop/web');
  const status = async (port: number, path: string): Promise<number> =>
    (await call({ address, port, path })).status;

  assert.equal(await status(WEB, '/flaky-web'), 200, 'retried, as the Service says');
  assert.equal(await status(SLOW, '/flaky-slow'), 503, 'one try, as the port says');
  assert.deepEqual([seen.get('/flaky-web'), seen.get('/flaky-slow')], [2, 1]);
  assert.equal(await status(SLOW, '/never'), 504, 'within a second');

  // The limit is that of the Service, and one for both: three of its tokens are gone.
  const both = await Promise.all(
    Array.from({ length: 60 }, (_, i) => status(i % 2 === 0 ? WEB : SLOW, '/')),
  );
  // On a busy machine some of the others may take longer than the port allows.
  assert.equal(both.filter((each) => each === 429).length, 23);

  put({ [`maesh.dev/port.${SLOW}.ratelimit-burst`]: '5' });
  await until('the limit of the port', async () => (await status(SLOW, '/')) !== 429);
  const own = await Promise.all(Array.from({ length: 20 }, () => status(SLOW, '/')));
  assert.equal(own.filter((each) => each === 429).length, 16, 'one went before');
  assert.equal(await status(WEB, '/'), 429, 'that of the Service is used up');

  put({
    [`maesh.dev/port.${SLOW}.ratelimit-average`]: 'none',
    [`maesh.dev/port.${SLOW}.timeout-request`]: 'none',
  });
  await until('no limit of the port', async () => (await status(SLOW, '/')) !== 429);
  const lifted = await Promise.all(Array.from({ length: 50 }, () => status(SLOW, '/')));
  assert.deepEqual(new Set(lifted), new Set([200]));
  assert.equal(await status(WEB, '/'), 429, 'that of the Service holds for the others');

  const failures = 'reason="rate_limited"';
  const ofPort = await mesh.metric(
    `maesh_failures_total{service="shop/web",port="${SLOW}",${failures}}`,
  );
  const ofRest = await mesh.metric(`maesh_failures_total{service="shop/web",${failures}}`);
  assert.ok(ofPort >= 16 && ofRest >= 1, `${ofPort} and ${ofRest}`);
});

interface Explained {
  readonly service: { readonly protocol: string; readonly because: string; readonly tls: boolean };
  readonly policies: readonly {
    readonly port: number | null;
    readonly fields: readonly {
      readonly path: string;
      readonly value: unknown;
      readonly source: { readonly field: string } | null;
    }[];
  }[];
}

test('explain and check say what decided the protocol, and which policy came from the port', async () => {
  const explain = (port: number, ...more: readonly string[]) =>
    maesh(['explain', `http://web.shop.maesh:${port}/`, '-f', folder.path, ...more]);
  const told = JSON.parse((await explain(SLOW, '-o', 'json')).stdout) as Explained;
  const { protocol, because } = told.service;
  assert.deepEqual([protocol, because], ['http', 'port name "http-slow"']);
  const [policies] = told.policies;
  assert.equal(policies?.port, SLOW);
  const field = (path: string): string | undefined =>
    policies?.fields.find((each) => each.path === path)?.source?.field;
  const of = (key: string): string => `metadata.annotations["maesh.dev/${key}"]`;
  assert.equal(field('timeouts.requestMs'), of(`port.${SLOW}.timeout-request`));
  assert.equal(field('retry.attempts'), of(`port.${SLOW}.retry-attempts`));
  assert.equal(field('retry.on'), of('retry-on'));

  const text = (await explain(SLOW)).stdout;
  assert.match(text, /port 20072 \("http-slow"\) of it is http \(port name "http-slow"\)/);
  assert.match(text, /Policies of port 20072 of Service shop\/web/);
  assert.match(text, /port\.20072\.timeout-request/);
  assert.match((await explain(WEB)).stdout, /is http \(default mode http\)[^]*Policies of Service/);
  assert.match(
    (await explain(DATABASE)).stdout,
    /is tcp \(port name "postgresql"\)\n[^]*circuit breakers do not apply to TCP/,
  );
  put({ [`maesh.dev/port.${DATABASE}.retry-attempts`]: '2' });
  const { stdout } = await maesh(['check', '-f', folder.path]);
  assert.match(
    stdout,
    /retry-attempts has no effect: port 20073 is carried as tcp \(port name "postgresql"\)/,
  );
});
