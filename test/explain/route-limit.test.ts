/** What explain says of a route with a rate limit of its own, beside that of its Service. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ManualClock } from '../../src/base/clock.ts';
import { hash32 } from '../../src/base/hash.ts';
import { dial } from '../../src/explain/dial.ts';
import { DryMesh } from '../../src/explain/dry-mesh.ts';
import { explain } from '../../src/explain/explain.ts';
import type { Explanation, PhaseName } from '../../src/explain/explanation.ts';
import { renderHead } from '../../src/explain/request.ts';
import type { RateLimitPolicy } from '../../src/model/policy.ts';
import type { ServicePort } from '../../src/model/service.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../src/model/settings.ts';
import { exampleEndpoint, exampleService } from '../support/model.ts';

const TWO: RateLimitPolicy = {
  average: 1,
  periodMs: 4_000,
  burst: 2,
  per: 'caller',
  callersMax: 8,
};

function meshWith(limits: { route: RateLimitPolicy; service: RateLimitPolicy | null }): DryMesh {
  const example = exampleService('shop/web', {
    endpoints: [exampleEndpoint('127.2.0.1')],
    policies: { rateLimit: limits.service },
  });
  const ports = example.ports.map((port): ServicePort => {
    assert(port.protocol === 'http');
    const policies = { rateLimit: limits.route };
    return { ...port, routes: port.routes.map((route) => ({ ...route, policies })) };
  });
  const services = [{ ...example, ports }];
  return DryMesh.started({ services, identities: [] }, new ManualClock());
}

function said(mesh: DryMesh): Explanation {
  const { services } = mesh;
  return explain({
    mesh,
    dial: dial({ host: 'web.shop.maesh', port: 80 }, { services, domains: ['maesh'] }),
    url: '',
    source: '127.0.0.1',
    bytes: renderHead({ method: 'GET', target: '/', host: 'a', fields: [], bodyBytes: 0 }),
    limits: DEFAULT_PROXY_SETTINGS,
  });
}

function phase(explanation: Explanation, name: PhaseName): string {
  const found = explanation.phases.find((each) => each.name === name);
  return `${found?.state}: ${found?.text}`;
}

const LIMIT = '1 per 4 s and at most 2 at once, for each caller';

test('a route with a token of its own takes the request, and asking takes none', () => {
  const mesh = meshWith({ route: TWO, service: null });
  for (let i = 0; i < 3; i++) {
    const explanation = said(mesh);
    assert.equal(explanation.forwarded, true);
    assert.equal(phase(explanation, 'rate-limit'), 'off: no rate limit');
    assert.equal(
      phase(explanation, 'route'),
      `passed: route "default" takes the request, and has a rate limit of its own: ${LIMIT}: a token is left`,
    );
    assert.ok(explanation.routes[0]?.policies.some(({ path }) => path === 'rateLimit.burst'));
  }
});

test('a route without a token ends the request, and is named as the one that takes it', () => {
  const mesh = meshWith({ route: TWO, service: { ...TWO, burst: 9 } });
  const limiter = mesh.portOf('shop/web', 80)?.routes[0]?.limiter;
  const take = (source: string): unknown => limiter?.take(hash32(source), mesh.clock.nowMs());
  for (let i = 0; i < 2; i++) take('127.0.0.9');
  assert.equal(said(mesh).forwarded, true, 'another caller took its own');
  for (let i = 0; i < 2; i++) take('127.0.0.1');
  const explanation = said(mesh);
  assert.match(phase(explanation, 'rate-limit'), /^passed: /);
  assert.equal(
    phase(explanation, 'route'),
    `ended: route "default" takes the request, and has a rate limit of its own: ${LIMIT}: the next token comes in 4 s`,
  );
  assert.match(phase(explanation, 'backend'), /^skipped: /);
  assert.equal(explanation.routes[0]?.taken, true);
  const [outcome] = explanation.outcomes;
  assert(outcome?.kind === 'answered');
  const { reason, status, retryAfterSeconds } = outcome;
  assert.deepEqual([reason, status, retryAfterSeconds], ['route_rate_limited', 429, 4]);
});
