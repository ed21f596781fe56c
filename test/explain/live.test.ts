/** What the admin API tells goes where the proxies keep it, and what it does not tell is said. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ManualClock } from '../../src/base/clock.ts';
import { dial } from '../../src/explain/dial.ts';
import { DryMesh } from '../../src/explain/dry-mesh.ts';
import { explain } from '../../src/explain/explain.ts';
import type { Explanation } from '../../src/explain/explanation.ts';
import { type LiveService, putLive } from '../../src/explain/live.ts';
import { renderHead } from '../../src/explain/request.ts';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import type { Policies } from '../../src/model/policy.ts';
import type { EndpointProtocol } from '../../src/model/service.ts';
import { explanationLines } from '../../src/explain/text.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../src/model/settings.ts';
import { exampleBreaker, exampleEndpoint, exampleService } from '../support/model.ts';

const HOSTS = ['127.2.0.1', '127.2.0.2'];

function explained(
  policies: Partial<Policies>,
  live: Partial<LiveService>,
  proxyPort = 0,
  protocol: EndpointProtocol = 'http/1.1',
): Explanation {
  const endpoints = HOSTS.map((address) => exampleEndpoint(address));
  const example = exampleService('shop/web', { endpoints, policies });
  const service = {
    ...example,
    ports: example.ports.map((port) => ({
      ...port,
      proxyPort,
      backend: { ...port.backend, protocol },
    })),
  };
  const mesh = DryMesh.started({ services: [service], identities: [] }, new ManualClock());
  putLive(mesh, [{ key: 'shop/web', breaker: 'none', inFlight: 0, endpoints: [], ...live }]);
  const { services } = mesh;
  const plain = { method: 'GET', target: '/', host: 'a', fields: [], bodyBytes: 0 };
  return explain({
    mesh,
    dial: dial({ host: 'web.shop.maesh', port: 80 }, { services, domains: ['maesh'] }),
    url: '',
    source: '127.0.0.1',
    bytes: renderHead(plain),
    limits: DEFAULT_PROXY_SETTINGS,
  });
}

const BREAKER = exampleBreaker({ openMs: 10_000, recoveryMs: 4_000 });

function endpoint(host: number, more: Partial<LiveService['endpoints'][number]>) {
  const address = HOSTS[host] ?? '';
  const still = { health: 'healthy', inFlight: 0, p50Ms: null } as const;
  return { servicePort: 80, address, port: 8080, ...still, ...more };
}

test('a recovering breaker lets half of the requests pass, which is an assumption', () => {
  const said = explained({ breaker: BREAKER }, { breaker: 'recovering' });
  assert.deepEqual(
    said.outcomes.map(({ kind, share }) => [kind, share]),
    [
      ['answered', 0.5],
      ['forwarded', 0.5],
    ],
  );
  assert.equal(said.forwarded, true);
  assert.deepEqual(said.assumptions, ['the breaker is assumed half recovered']);
});

test('requests in flight count against the limit of the Service', () => {
  const limits = { ...DEFAULT_POLICIES.limits, requestsInFlight: 3 };
  assert.equal(explained({ limits }, { inFlight: 2 }).forwarded, true);
  const [outcome] = explained({ limits }, { inFlight: 3 }).outcomes;
  assert.equal(outcome?.kind === 'answered' ? outcome.reason : '', 'overloaded');
});

test('an endpoint that is probed or busy takes nothing while another one is free', () => {
  for (const busy of [{ health: 'probing', inFlight: 1 }, { inFlight: 5 }] as const) {
    const said = explained({}, { endpoints: [endpoint(0, busy), endpoint(1, {})] });
    assert.deepEqual(
      said.backends[0]?.endpoints.map(({ odds, inFlight }) => [odds, inFlight]),
      [
        [0, busy.inFlight],
        [1, 0],
      ],
    );
  }
});

test('the latencies of a running mesh decide by peak-ewma', () => {
  const balance = { ...DEFAULT_POLICIES.balance, algorithm: 'peak-ewma' } as const;
  const endpoints = [endpoint(0, { p50Ms: 20 }), endpoint(1, { p50Ms: 2 })];
  const said = explained({ balance }, { endpoints });
  assert.deepEqual(
    said.backends[0]?.endpoints.map(({ odds }) => odds),
    [0, 1],
  );
  assert.deepEqual(said.assumptions, ['the latency of each endpoint is assumed to be its median']);
});

test('what the admin API does not tell is said', () => {
  const rateLimit = { average: 1, periodMs: 1, burst: 1, per: 'service', callersMax: 8 } as const;
  const balance = { ...DEFAULT_POLICIES.balance, slowStartMs: 5 };
  const said = explained(
    { rateLimit, balance, retry: DEFAULT_RETRY, breaker: BREAKER },
    { breaker: 'open' },
  );
  assert.deepEqual(said.assumptions, [
    'the rate limit is assumed unused',
    'the breaker is assumed to have just opened, so Retry-After is the longest',
    'no endpoint is assumed to be in slow start',
    'the retry budget is assumed full',
  ]);
});

test('in a cluster, where listeners are on proxy ports, a call is reached by its Service port', () => {
  const endpoints = [endpoint(0, { health: 'ejected' }), endpoint(1, {})];
  const said = explained({}, { endpoints }, 10_017);
  assert.equal(said.forwarded, true, said.phases[0]?.text ?? '');
  assert.deepEqual(
    said.backends[0]?.endpoints.map(({ health, odds }) => [health, odds]),
    [
      ['ejected', 0],
      ['healthy', 1],
    ],
  );
});

test('that a Service is nearly at its limit of requests in flight is said, with what it means', () => {
  const limits = { ...DEFAULT_POLICIES.limits, requestsInFlight: 8 };
  const service = (inFlight: number): string => {
    const said = explained({ limits }, { inFlight });
    return said.phases.find(({ name }) => name === 'service')?.text ?? '';
  };
  assert.equal(service(6), 'Service shop/web, 6 of at most 8 requests in flight');
  assert.equal(
    service(7),
    'Service shop/web, 7 of at most 8 requests in flight; callers with more than an equal share may get 503 overloaded',
  );
});

test('of endpoints of HTTP/2 it is told how many connections they have, where that is known', () => {
  const limits = { ...DEFAULT_POLICIES.limits, connectionsPerEndpoint: 7 };
  const live = { endpoints: [endpoint(0, { inFlight: 90, connections: 2 }), endpoint(1, {})] };
  const said = explained({ limits }, live, 0, 'http/2');
  const counts = said.backends[0]?.endpoints.map(({ connections }) => connections);
  assert.deepEqual(counts, [2, null], 'the second one is of an agent that does not tell');
  const lines = explanationLines(said, {
    paint: (_, text) => text,
    withDefaults: false,
    setBy: () => '',
  });
  const line = (of: string): string => lines.find((each) => each.includes(of)) ?? '';
  assert.match(line('127.2.0.1:8080'), /healthy, 90 in flight on 2 connections {2}/);
  assert.match(line('127.2.0.2:8080'), /healthy, 0 in flight {2}/);
  assert.match(
    line('+ forward'),
    /HTTP\/2, on a connection that requests share \(up to 7 to an endpoint from all threads, and one from each in any case\),/,
  );
  const old = explained({ limits }, live);
  assert.doesNotMatch(old.phases.at(-1)?.text ?? '', /share/);
});
