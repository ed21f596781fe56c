/** What `maesh explain` says of mirrors: who gets a copy, how often, and why not. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ManualClock } from '../../src/base/clock.ts';
import { dial } from '../../src/explain/dial.ts';
import { DryMesh } from '../../src/explain/dry-mesh.ts';
import { explain } from '../../src/explain/explain.ts';
import type { Explanation } from '../../src/explain/explanation.ts';
import { type LiveService, putLive } from '../../src/explain/live.ts';
import { type PlainRequest, renderHead } from '../../src/explain/request.ts';
import { explanationLines } from '../../src/explain/text.ts';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import type { Policies } from '../../src/model/policy.ts';
import type { RouteMirror } from '../../src/model/route.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../src/model/settings.ts';
import { isObject, parseJson, SchemaChecker } from '../support/json-schema.ts';
import { exampleBreaker, exampleEndpoint, exampleService } from '../support/model.ts';

const TO_CANARY = { backend: 'shop/canary:80', numerator: 1, denominator: 8, invalid: '' };

interface Asked {
  readonly mirrors?: readonly RouteMirror[];
  readonly canary?: Partial<Policies>;
  readonly web?: Partial<Policies>;
  readonly endpoints?: number;
  readonly request?: Partial<PlainRequest>;
  readonly live?: readonly LiveService[];
}

function asked(more: Asked = {}): Explanation {
  const addresses = ['127.2.0.1', '127.2.0.2'];
  const endpoints = addresses.map((address) => exampleEndpoint(address));
  const plain = exampleService('shop/web', { endpoints, policies: more.web ?? {} });
  const ports = plain.ports.map((port) => {
    assert(port.protocol === 'http');
    const mirrors = more.mirrors ?? [TO_CANARY];
    return { ...port, routes: port.routes.map((route) => ({ ...route, mirrors })) };
  });
  const canary = exampleService('shop/canary', {
    endpoints: endpoints.slice(0, more.endpoints ?? 2),
    policies: more.canary ?? {},
  });
  const services = [
    { ...plain, ports },
    { ...canary, address: '127.77.0.2' },
  ];
  const mesh = DryMesh.started({ services, identities: [] }, new ManualClock());
  putLive(mesh, more.live ?? []);
  const request = { method: 'GET', target: '/', host: 'a', fields: [], bodyBytes: 0 };
  return explain({
    mesh,
    dial: dial(
      { host: 'web.shop.maesh', port: 80 },
      { services: mesh.services, domains: ['maesh'] },
    ),
    url: '',
    source: '127.0.0.1',
    bytes: renderHead({ ...request, ...more.request }),
    limits: DEFAULT_PROXY_SETTINGS,
  });
}

/** Of the only mirror. */
function told(more: Asked = {}): readonly [share: number, text: string] {
  const [mirror, ...others] = asked(more).mirrors;
  assert.ok(mirror !== undefined && others.length === 0);
  return [mirror.share, mirror.text];
}

test('a mirror is told with its share and its endpoints', () => {
  const said = asked();
  assert.deepEqual(
    said.mirrors.map(({ backend, service, share }) => [backend, service, share]),
    [['shop/canary:80', 'shop/canary', 0.125]],
  );
  assert.match(said.mirrors[0]?.text ?? '', /^gets a copy of 12\.5 %, to one of 2 endpoints, by/);
  const text = explanationLines(said, {
    paint: (_, each) => each,
    withDefaults: false,
    setBy: () => '',
  });
  const line = text.find((each) => each.includes('mirror'));
  assert.match(line ?? '', /mirror shop\/canary:80 gets a copy of 12\.5 %/);
  assert.deepEqual(asked({ mirrors: [] }).mirrors, []);
});

test('it is told in JSON as docs/explain.schema.json says', () => {
  const file = new URL('../../docs/explain.schema.json', import.meta.url);
  const document = parseJson(readFileSync(file, 'utf8'));
  assert.ok(isObject(document));
  const schema = new SchemaChecker(document);
  for (const mirrors of [[TO_CANARY], [{ ...TO_CANARY, invalid: 'it is not granted' }]]) {
    const json = parseJson(JSON.stringify(asked({ mirrors })));
    assert.deepEqual(schema.check(json, '#/$defs/Explanation'), []);
  }
  assert.deepEqual(schema.unseen('#/$defs/Mirror'), []);
});

test('of a mirror that gets nothing it is told why', () => {
  const cases: readonly (readonly [Asked, RegExp])[] = [
    [{ mirrors: [{ ...TO_CANARY, invalid: 'it is not granted' }] }, /copy: it is not granted/],
    [{ mirrors: [{ ...TO_CANARY, backend: 'shop/gone:80' }] }, /no Service of the mesh has/],
    [{ endpoints: 0 }, /shop\/canary has no ready endpoint/],
    [
      {
        canary: { limits: { ...DEFAULT_POLICIES.limits, requestBodyBytes: 5 } },
        request: { bodyBytes: 6 },
      },
      /the body is too long for shop\/canary/,
    ],
    [{ request: { bodyBytes: 20_000 } }, /longer than what is kept/],
    [{ request: { fields: ['Connection: upgrade', 'Upgrade: x'] } }, /an upgrade is not mirrored/],
    [
      {
        web: { limits: { ...DEFAULT_POLICIES.limits, requestBodyBytes: 5 } },
        request: { bodyBytes: 6 },
      },
      /the request itself is not sent on/,
    ],
  ];
  for (const [more, why] of cases) {
    const [share, text] = told(more);
    assert.equal(share, 0, text);
    assert.match(text, /^gets no copy: /);
    assert.match(text, why);
  }
  const kept = { web: { retry: { ...DEFAULT_RETRY, bodyBytes: 65_536 } } };
  assert.equal(told({ ...kept, request: { bodyBytes: 20_000 } })[0], 0.125);
});

test('the breaker of a mirror stands before its share', () => {
  const canary = { breaker: exampleBreaker({ openMs: 10_000, recoveryMs: 4_000 }) };
  const live = (breaker: LiveService['breaker']): readonly LiveService[] => [
    { key: 'shop/canary', breaker, inFlight: 0, endpoints: [] },
  ];
  const [share, text] = told({ canary, live: live('open') });
  assert.deepEqual([share, text], [0, 'gets no copy: the circuit breaker of shop/canary is open']);
  const half = told({ canary, live: live('recovering') });
  assert.equal(half[0], 0.0625);
  assert.match(half[1], /of which the circuit breaker lets 50 % pass/);
});
