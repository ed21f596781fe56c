import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FieldChange, Redirect, RouteFilters } from './filter.ts';
import { backendFiltersProblem, routeFiltersProblem } from './filter-check.ts';

const NONE: RouteFilters = { request: [], response: [], rewrite: null, redirect: null };
const REDIRECT: Redirect = { scheme: '', host: '', port: 0, path: null, status: 302 };

function set(name: string, value = 'a'): FieldChange {
  return { action: 'set', name, value };
}

function problem(more: Partial<RouteFilters>): string {
  return routeFiltersProblem({ ...NONE, ...more });
}

test('usual filters have no problem', () => {
  const changes: readonly FieldChange[] = [
    set('x-user', 'ann, "bob" \té'),
    { action: 'add', name: 'set-cookie', value: '' },
    { action: 'remove', name: 'authorization', value: '' },
    set('date'),
  ];
  const rewrite = { host: 'web.example', path: { kind: 'prefix', value: '/a%20é' } } as const;
  assert.equal(problem({ request: changes, response: changes, rewrite }), '');
  assert.equal(problem({ redirect: { ...REDIRECT, host: '[::1]', port: 65_535 } }), '');
  assert.equal(problem({ redirect: { ...REDIRECT, path: { kind: 'full', value: '' } } }), '');
});

test('fields that frame a message, steer a connection or say who calls may not be changed', () => {
  const always = ['connection', 'content-length', 'content_length', 'keep-alive'];
  always.push('te', 'trailer', 'transfer-encoding', 'upgrade', 'proxy-connection');
  always.push('http2-settings', '', 'a b', 'a:', 'X-Upper', 'é', ':path', 'a\r\nb');
  const ofRequests = ['host', 'expect', 'max-forwards', 'forwarded', 'x-forwarded-for'];
  ofRequests.push('x-forwarded-anything', 'x_forwarded_proto', 'x-real-ip', 'l5d-client-id');
  for (const action of ['set', 'add', 'remove'] as const) {
    for (const name of [...always, ...ofRequests]) {
      const request = [{ action, name, value: '' }];
      assert.match(problem({ request }), /^field ".*" may not be changed: it /s, name);
      assert.equal(problem({ response: request }) === '', ofRequests.includes(name), name);
    }
  }
  assert.match(problem({ request: [set('host')] }), /rewrite of the host/);
  for (const name of ['x-forwarded', 'x-ssl-client', 'x-envoy', 'transfer', 'x-host', 'via', 'age'])
    assert.equal(problem({ request: [set(name)] }) === '', name !== 'x-forwarded', name);
});

test('what could end a line or a message is no part of a value, a host or a path', () => {
  for (const bad of ['\r', '\n', '\0', '\r\n', '\x7f', '\x1b', '\v']) {
    assert.match(problem({ request: [set('a', `b${bad}c`)] }), /control character/);
    assert.match(problem({ response: [set('a', `b${bad}c`)] }), /control character/);
    for (const place of ['rewrite', 'redirect'] as const) {
      const path = { kind: 'full', value: `/b${bad}c` } as const;
      assert.match(problem({ [place]: { ...REDIRECT, path } }), /control character/);
      assert.match(problem({ [place]: { ...REDIRECT, host: `b${bad}c` } }), /no name or address/);
    }
  }
  for (const host of ['a b', 'a:80', 'a/b', 'a@b', '[::1', '[]', 'é', 'a?b', 'a#b', '%41']) {
    assert.match(problem({ redirect: { ...REDIRECT, host } }), /no name or address/, host);
  }
  for (const value of ['a', '/a b', '/a?b', '/a#b', 'http://a']) {
    const path = { kind: 'prefix', value } as const;
    assert.notEqual(backendFiltersProblem({ ...NONE, rewrite: { host: '', path } }), '', value);
  }
});

test('all of it is bounded', () => {
  const names = (count: number): FieldChange[] =>
    Array.from({ length: count }, (_, i) => set(`x-${i}`));
  assert.equal(problem({ request: names(64) }), '');
  assert.match(problem({ request: names(65) }), /65 changes of request fields; at most 64/);
  assert.match(problem({ response: names(65) }), /changes of response fields/);
  assert.match(problem({ request: [set('x'.repeat(257))] }), /257 characters; at most 256/);
  assert.equal(problem({ request: [set('a', 'é'.repeat(2_048))] }), '');
  assert.match(problem({ request: [set('a', `b${'é'.repeat(2_048)}`)] }), /4097 bytes/);
  const long = Array.from({ length: 2 }, () => set('a', 'b'.repeat(4_091)));
  assert.equal(problem({ request: long }), '');
  assert.match(problem({ request: [...long, set('a', '')] }), /8197 bytes; at most 8192/);
  assert.equal(problem({ request: [...long, { ...set('a', ''), action: 'remove' }] }), '');
  const path = (length: number) => ({ kind: 'full', value: '/'.padEnd(length, 'a') }) as const;
  assert.equal(problem({ redirect: { ...REDIRECT, path: path(1_024) } }), '');
  assert.match(problem({ redirect: { ...REDIRECT, path: path(1_025) } }), /1025 bytes/);
  assert.equal(problem({ redirect: { ...REDIRECT, host: 'a'.repeat(253) } }), '');
  assert.notEqual(problem({ redirect: { ...REDIRECT, host: 'a'.repeat(254) } }), '');
});

test('a redirect has a status and a port that there are', () => {
  for (const status of [301, 302, 303, 307, 308] as const)
    assert.equal(problem({ redirect: { ...REDIRECT, status } }), '');
  for (const status of [200, 300, 304, 305, 399]) {
    const redirect = { ...REDIRECT, status: status as Redirect['status'] };
    assert.match(problem({ redirect }), /no status of a redirect/);
  }
  for (const port of [-1, 65_536, 1.5, Number.NaN])
    assert.match(problem({ redirect: { ...REDIRECT, port } }), /is no port/);
});
