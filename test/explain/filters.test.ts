/** What `maesh explain` says of filters: what they change on the request that it explains, and where a redirect leads. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../src/base/clock.ts';
import { dial } from '../../src/explain/dial.ts';
import { DryMesh } from '../../src/explain/dry-mesh.ts';
import { explain } from '../../src/explain/explain.ts';
import type { Explanation } from '../../src/explain/explanation.ts';
import { renderHead } from '../../src/explain/request.ts';
import { explanationLines } from '../../src/explain/text.ts';
import type { BackendFilters, RouteFilters } from '../../src/model/filter.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../src/model/settings.ts';
import { exampleEndpoint, exampleService } from '../support/model.ts';
import { NO_FILTERS, prefix, routed, to } from '../support/routes.ts';

interface Asked {
  readonly route: Partial<RouteFilters>;
  readonly backend?: BackendFilters;
  readonly endpoints?: readonly string[];
  readonly target?: string;
  /** It asks for one. */
  readonly webSocket?: boolean;
}

function asked({
  route,
  backend,
  endpoints = ['127.2.0.1'],
  target = '/a/b?c',
  webSocket = false,
}: Asked): Explanation {
  const plain = exampleService('shop/web', {
    endpoints: endpoints.map((address) => exampleEndpoint(address)),
  });
  const service = routed(plain, [
    {
      matches: [prefix('/a')],
      filters: { ...NO_FILTERS, ...route },
      backends: [to(plain, 1, backend ?? null)],
    },
  ]);
  const mesh = DryMesh.started({ services: [service], identities: [] }, new ManualClock());
  const fields = ['X-Old: 1', 'X-Old: 2', 'X-New: 1'];
  const request = { method: 'GET', target, host: 'web.shop.maesh', fields, bodyBytes: 0 };
  return explain({
    mesh,
    dial: dial(
      { host: 'web.shop.maesh', port: 80 },
      { services: mesh.services, domains: ['maesh'] },
    ),
    url: 'http://web.shop.maesh/a/b?c',
    source: '127.0.0.1',
    bytes: renderHead({ ...request, webSocket }),
    limits: DEFAULT_PROXY_SETTINGS,
  });
}

function lines(said: Explanation): readonly string[] {
  const paint = (_: unknown, text: string): string => text;
  return explanationLines(said, { paint, withDefaults: false, setBy: () => '' });
}

/** The lines about a backend below the phase that forwards. */
function changeLines(said: Explanation): string[] {
  const start = 'for shop/web:80: ';
  return lines(said).flatMap((line) => {
    const text = line.trim();
    return text.startsWith(start) ? [text.slice(start.length)] : [];
  });
}

const CHANGES: BackendFilters = {
  request: [
    { action: 'set', name: 'x-new', value: '2' },
    { action: 'remove', name: 'x-old', value: '' },
    { action: 'remove', name: 'x-missing', value: '' },
  ],
  response: [
    { action: 'remove', name: 'server', value: '' },
    { action: 'add', name: 'x-by', value: 'mesh' },
  ],
  rewrite: { host: 'b.example', path: { kind: 'prefix', value: '/new' } },
};

test('the answer that opens a WebSocket passes as it came, and that is said', () => {
  const told = changeLines(asked({ route: {}, backend: CHANGES, webSocket: true }));
  assert.deepEqual(told.slice(-2), [
    'response field - server (not of an answer that switches)',
    'response field + x-by: mesh (not of an answer that switches)',
  ]);
});

test('what is changed is told for the request that was asked about', () => {
  const told = [
    'target "/new/b?c"',
    'host "b.example"',
    'request field - x-old',
    'request field - x-new',
    'request field + x-new: 2',
    'response field - server',
    'response field + x-by: mesh',
  ];
  assert.deepEqual(changeLines(asked({ route: CHANGES })), told);
  const said = asked({ route: {}, backend: CHANGES });
  assert.deepEqual(changeLines(said), told);
  assert.equal(said.request.target, '/a/b?c', 'what was asked stays what it was');
  assert.deepEqual(changeLines(asked({ route: {} })), []);
  assert.deepEqual(changeLines(asked({ route: { response: CHANGES.response } })), told.slice(5));
});

test('of a request that goes nowhere no change is told', () => {
  assert.deepEqual(changeLines(asked({ route: CHANGES, endpoints: [] })), []);
  assert.deepEqual(changeLines(asked({ route: CHANGES, target: '/other' })), []);
});

test('a redirect is told with its status, where it leads and what it adds', () => {
  const path = { kind: 'prefix', value: '/new' } as const;
  const redirect = { scheme: 'https', host: '', port: 0, path, status: 308 } as const;
  const said = asked({ route: { ...CHANGES, redirect }, endpoints: [] });
  assert.equal(said.forwarded, false);
  assert.deepEqual(said.backends, []);
  assert.deepEqual(said.outcomes, [
    {
      kind: 'redirected',
      share: 1,
      text: 'the route sends the caller elsewhere, and no endpoint is asked',
      status: 308,
      location: 'https://web.shop.maesh/new/b?c',
      added: [{ name: 'x-by', value: 'mesh' }],
    },
  ]);
  const [, line = ''] = lines(said);
  assert.match(
    line,
    /^ {2}redirected with 308 to https:\/\/web\.shop\.maesh\/new\/b\?c: the route/,
  );
  const phase = said.phases.find(({ name }) => name === 'route');
  assert.deepEqual(
    [phase?.state, phase?.text],
    ['ended', 'route "default" takes the request and redirects it'],
  );
});
