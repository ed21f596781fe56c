import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { BackendFilters, FieldChange, Redirect, RouteFilters } from '../../model/filter.ts';
import type { HttpMatch } from '../../model/route.ts';
import { parseRequestHead } from '../http1/codec/request-head.ts';
import { writeRequestHead } from '../http1/codec/head-writer.ts';
import { ByteRoom } from './byte-room.ts';
import { compileFilters, compileRedirect, HeadEdit } from './filter.ts';
import { Head } from './head.ts';
import { Matcher } from './match.ts';
import { PathView } from './path-view.ts';
import { add, remove, set } from '../../../test/support/field-change.ts';

const ANY: HttpMatch = { path: null, method: '', headers: [], query: [] };
const NONE: RouteFilters = { request: [], response: [], rewrite: null, redirect: null };
const LIMITS = { headBytesMax: 60_000, headFieldsMax: 100 };
const CALLED = { host: Buffer.from('web.shop'), port: { port: 8080 } };
const view = new PathView();
const edit = new HeadEdit();
const forwarding = {
  lines: null,
  address: Buffer.alloc(0),
  trusted: true,
  secure: false,
  stamp: 0,
};

function prefix(value: string): HttpMatch {
  return { ...ANY, path: { kind: 'prefix', value } };
}
function exact(value: string): HttpMatch {
  return { ...ANY, path: { kind: 'exact', value } };
}

interface Read {
  readonly data: Buffer;
  readonly head: Head;
}

function read(line: string, fields = 'Host: a:8080\r\n'): Read {
  const data = Buffer.from(`${line} HTTP/1.1\r\n${fields}\r\n`, 'latin1');
  const head = new Head(100);
  const end = parseRequestHead(data, 0, data.length, head, LIMITS);
  assert.equal(end, data.length, head.rule);
  return { data, head };
}

/** Notes what the first of these matches that takes the request matched of its path. */
function match({ data, head }: Read, matches: readonly HttpMatch[]): void {
  view.read(data, head).matched = 0;
  const found = matches
    .map((each) => new Matcher(each))
    .find((each) => each.takes(data, head, view, false));
  if (found !== undefined) view.matched = found.matchedBytes(view);
}

/** The lines of a request as it leaves. */
function sent(
  { data, head }: Read,
  ofRoute: Partial<RouteFilters>,
  ofBackend: Partial<BackendFilters> | null = null,
  matches: readonly HttpMatch[] = [],
): string[] {
  const filters = compileFilters(
    { ...NONE, ...ofRoute },
    ofBackend === null ? null : { ...NONE, ...ofBackend },
  );
  match({ data, head }, matches);
  const changed = filters?.request?.apply(data, head, view, edit) ?? null;
  const out = Buffer.alloc(200_000);
  const length = writeRequestHead(out, data, head, forwarding, CALLED.host, changed);
  return out.toString('latin1', 0, length - 4).split('\r\n');
}

/** The target that leaves when the path is changed. */
function rewritten(
  line: string,
  kind: 'full' | 'prefix',
  value: string,
  matches: readonly HttpMatch[] = [],
): string {
  const rewrite = { host: '', path: { kind, value } };
  return sent(read(line), { rewrite }, null, matches)[0]?.split(' ')[1] ?? '';
}

test('fields are set, added and removed, whatever the case of their names', () => {
  const fields = 'Host: a\r\nX-A: 1\r\nX-Keep: k\r\nx-a: 2\r\nX-B: 1\r\nX-C:1\r\n';
  const request = [set('x-a', 'new'), add('x-b', ' 2\t'), remove('x-c'), set('x-d', '')];
  assert.deepEqual(sent(read('GET /', fields), { request }), [
    'GET / HTTP/1.1',
    'Host: a',
    'X-Keep: k',
    'X-B: 1',
    'x-a: new',
    'x-b: 2',
    'x-d: ',
  ]);
});

test('changes of one name come one after the other, those of the backend last', () => {
  const lines = (ofRoute: FieldChange[], ofBackend: FieldChange[]): string[] =>
    sent(
      read('GET /', 'Host: a\r\nX-A: 1\r\n'),
      { request: ofRoute },
      { request: ofBackend },
    ).slice(2);
  assert.deepEqual(lines([set('x-a', '2')], [add('x-a', '3')]), ['x-a: 2', 'x-a: 3']);
  assert.deepEqual(lines([add('x-a', '2')], [set('x-a', '3')]), ['x-a: 3']);
  assert.deepEqual(lines([add('x-a', '2')], [remove('x-a')]), []);
  assert.deepEqual(lines([remove('x-a'), add('x-a', '2')], []), ['x-a: 2']);
  assert.deepEqual(lines([add('x-a', '2')], []), ['X-A: 1', 'x-a: 2']);
});

test('filters that change nothing cost nothing', () => {
  assert.equal(compileFilters(null, null), null);
  assert.equal(compileFilters(NONE, NONE), null);
  assert.equal(compileRedirect(NONE), null);
  const rewrite = { host: '', path: null };
  assert.equal(compileFilters({ ...NONE, rewrite }, null), null);
  const only = compileFilters(null, { ...NONE, response: [remove('server')] });
  assert.deepEqual([only?.request, only?.response?.removed], [null, ['server']]);
});

test('the host is rewritten, that of a backend before that of the route', () => {
  const host = (of: string, ofBackend: string | null, target = '/'): string | undefined => {
    const own = ofBackend === null ? null : { rewrite: { host: ofBackend, path: null } };
    return sent(read(`GET ${target}`), { rewrite: { host: of, path: null } }, own)[1];
  };
  assert.equal(host('b.example', null), 'Host: b.example');
  assert.equal(host('b.example', 'c.example'), 'Host: c.example');
  assert.equal(host('b.example', ''), 'Host: b.example');
  assert.equal(host('', '[::1]'), 'Host: [::1]');
  assert.equal(host('b.example', null, 'http://c/d'), 'Host: b.example');
});

test('a prefix is replaced as the table of Gateway API says', () => {
  for (const [path, match, value, expected] of [
    ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz/', '/xyz/bar'],
    ['/foo', '/foo', '/xyz', '/xyz'],
    ['/foo/', '/foo', '/xyz', '/xyz/'],
    ['/foo/bar', '/foo', '', '/bar'],
    ['/foo/', '/foo', '', '/'],
    ['/foo', '/foo', '', '/'],
    ['/foo/', '/foo', '/', '/'],
    ['/foo', '/foo', '/', '/'],
    ['/foo', '/', '/xyz', '/xyz/foo'],
    ['/', '/', '/xyz', '/xyz/'],
  ] as const) {
    const say = `${path} by ${match} to ${value}`;
    assert.equal(rewritten(`GET ${path}`, 'prefix', value, [prefix(match)]), expected, say);
    assert.equal(
      rewritten(`GET ${path}?q=/foo`, 'prefix', value, [prefix(match)]),
      `${expected}?q=/foo`,
    );
  }
});

test('of several matches the first that takes the request says what its prefix is', () => {
  const matches = [
    { ...prefix('/a/b'), method: 'POST' },
    { ...ANY, headers: [{ name: 'x-gone', value: '1' }] },
    prefix('/a'),
    exact('/c/d'),
  ];
  assert.equal(rewritten('GET /a/b/c', 'prefix', '/x', matches), '/x/b/c');
  assert.equal(rewritten('POST /a/b/c', 'prefix', '/x', matches), '/x/c');
  assert.equal(rewritten('GET /c/d', 'prefix', '/x', matches), '/x');
  const gone = read('GET /a/b', 'Host: a\r\nX-Gone: 1\r\n');
  const filters = { request: [remove('x-gone')], rewrite: { host: '', path: FULL_PREFIX } };
  assert.deepEqual(sent(gone, filters, null, matches), ['GET /x/a/b HTTP/1.1', 'Host: a']);
  assert.equal(rewritten('GET /a', 'prefix', '/x'), '/x/a');
});
const FULL_PREFIX = { kind: 'prefix', value: '/x' } as const;

test('the whole path is replaced, and the query stays as it is sent on', () => {
  assert.equal(rewritten('GET /a/b?c=d', 'full', '/e'), '/e?c=d');
  assert.equal(rewritten('GET /a', 'full', '/e/'), '/e/');
  assert.equal(rewritten('GET /a?', 'full', ''), '/?');
  assert.equal(rewritten('GET http://b?x', 'full', '/e'), '/e?x');
  assert.equal(rewritten('GET http://b', 'full', '/e'), '/e');
  assert.equal(rewritten('GET /a?"<>\xff', 'full', '/e'), '/e?%22%3C%3E%FF');
  assert.equal(rewritten('GET /a', 'full', '/é%2f/./b/../c"'), '/%C3%A9%2F/c%22');
});

test('what follows a prefix leaves in its normal form', () => {
  const to = (line: string): string => rewritten(line, 'prefix', '/x', [prefix('/a')]);
  assert.equal(to('GET /%61/%7e"b'), '/x/~%22b');
  assert.equal(to('GET /b/../a//c/./d'), '/x//c/d');
  assert.equal(to('GET /a/%2F..%2f'), '/x/%2F..%2F');
});

test('OPTIONS for the server as a whole has no path that could be changed', () => {
  assert.equal(rewritten('OPTIONS *', 'full', '/e'), '*');
  assert.equal(rewritten('OPTIONS http://a', 'prefix', '/e', [prefix('/')]), '*');
  assert.equal(rewritten('OPTIONS http://a/', 'full', '/e'), '/e');
});

const REDIRECT: Redirect = { scheme: '', host: '', port: 0, path: null, status: 302 };

function location(
  { data, head }: Read,
  redirect: Partial<Redirect>,
  matches: readonly HttpMatch[] = [],
  isTrusted = false,
): string {
  const made = compileRedirect({ ...NONE, redirect: { ...REDIRECT, ...redirect } });
  match({ data, head }, matches);
  const room = new ByteRoom();
  made?.write(room, data, head, view.read(data, head), CALLED, {
    trusted: isTrusted,
    secure: false,
  });
  return room.bytes.toString('latin1', 0, room.length);
}

test('a redirect says the whole URI: what the route leaves out is as the request has it', () => {
  const asked = 'GET /a/b?c=d';
  for (const [redirect, host, expected] of [
    [{}, 'a:8080', 'http://a:8080/a/b?c=d'],
    [{}, 'a:80', 'http://a/a/b?c=d'],
    [{}, 'a', 'http://a:8080/a/b?c=d'],
    [{}, 'a:', 'http://a:8080/a/b?c=d'],
    [{}, '[::1]', 'http://[::1]:8080/a/b?c=d'],
    [{}, '[::1]:81', 'http://[::1]:81/a/b?c=d'],
    [{}, '', 'http://web.shop:8080/a/b?c=d'],
    [{ host: 'b.example' }, 'a:8080', 'http://b.example:8080/a/b?c=d'],
    [{ scheme: 'https' }, 'a:8080', 'https://a/a/b?c=d'],
    [{ scheme: 'http' }, 'a:8080', 'http://a/a/b?c=d'],
    [{ scheme: 'https', port: 8443 }, 'a:8080', 'https://a:8443/a/b?c=d'],
    [{ scheme: 'https', port: 443 }, 'a:8080', 'https://a/a/b?c=d'],
    [{ scheme: 'https', port: 80 }, 'a:8080', 'https://a:80/a/b?c=d'],
    [{ port: 80 }, 'a:8080', 'http://a/a/b?c=d'],
    [{ port: 9000 }, 'a', 'http://a:9000/a/b?c=d'],
    [{ path: { kind: 'full', value: '/x' } }, 'a:80', 'http://a/x?c=d'],
    [{ path: { kind: 'full', value: '' } }, 'a:80', 'http://a/?c=d'],
    [{ path: { kind: 'prefix', value: '/x' } }, 'a:80', 'http://a/x/b?c=d'],
  ] as const) {
    const made = location(read(asked, `Host: ${host}\r\n`), redirect, [prefix('/a')]);
    assert.equal(made, expected, JSON.stringify([redirect, host]));
  }
  assert.equal(location(read('GET http://b:81?x', 'Host: a\r\n'), {}), 'http://b:81/?x');
  assert.equal(
    location(read('OPTIONS *'), { path: { kind: 'full', value: '/x' } }),
    'http://a:8080/',
  );
  assert.equal(location(read('GET /b/../"é?"'), {}), 'http://a:8080/b/../%22%E9?%22');
});

test('a trusted proxy in front says with which scheme it was called', () => {
  const asked = (proto: string, host = 'a'): Read =>
    read('GET /b', `Host: ${host}\r\n${proto === '' ? '' : `X-Forwarded-Proto: ${proto}\r\n`}`);
  for (const [proto, redirect, expected] of [
    ['https', {}, 'https://a/b'],
    ['HTTPS, http', {}, 'https://a/b'],
    ['https,http', { port: 443 }, 'https://a/b'],
    ['https', { port: 8443 }, 'https://a:8443/b'],
    ['https', { scheme: 'http' }, 'http://a/b'],
    ['http', {}, 'http://a:8080/b'],
    ['http, https', {}, 'http://a:8080/b'],
    ['httpss', {}, 'http://a:8080/b'],
    ['http\r\nX-Forwarded-Proto: https', {}, 'http://a:8080/b'],
    ['', {}, 'http://a:8080/b'],
  ] as const) {
    assert.equal(location(asked(proto), redirect, [], true), expected, proto);
  }
  assert.equal(location(asked('https', 'a:8443'), {}, [], true), 'https://a:8443/b');
  assert.equal(location(asked('https'), {}), 'http://a:8080/b', 'of others nothing is believed');
});

test('a redirect takes its fields from the route, but for those that it has itself', () => {
  const response = [set('cache-control', 'no-store'), set('location', '/b'), remove('server')];
  const made = compileRedirect({
    ...NONE,
    response: [...response, set('date', 'x')],
    redirect: REDIRECT,
  });
  assert.equal(made?.extra.lines.toString(), 'cache-control: no-store\r\n');
});

test('filters that may not be are not run', () => {
  for (const filters of [
    { ...NONE, request: [set('host', 'b')] },
    { ...NONE, response: [add('x', 'a\r\nb: c')] },
    { ...NONE, rewrite: { host: 'a b', path: null } },
  ]) {
    assert.throws(() => compileFilters(filters, null), RangeError);
    assert.throws(() => compileFilters(null, filters), RangeError);
    assert.throws(() => compileRedirect({ ...filters, redirect: REDIRECT }), RangeError);
  }
});

/** Pieces of paths that servers read differently, or that could end a line. */
const PIECE = fc.constantFrom(
  '/',
  'a',
  'foo',
  '..',
  '.',
  '%2e',
  '%2F',
  '%0d%0a',
  '"',
  'é',
  '//',
  '%',
  '[',
  '*',
  '~',
);
const PATH = fc.array(PIECE, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`);
const QUERY = fc
  .array(fc.constantFrom('a', '=', '&', '"', '?', '/', '%0A', '\xff', '<'), { maxLength: 6 })
  .map((pieces) => pieces.join(''));

test('whatever is asked and configured, what leaves is one target and one URI', () => {
  fc.assert(
    fc.property(
      fc.record({
        path: PATH,
        query: QUERY,
        kind: fc.constantFrom('full', 'prefix'),
        value: PATH,
        match: PATH,
      }),
      ({ path, query, kind, value, match }) => {
        const line = `GET ${path}${query === '' ? '' : `?${query}`}`;
        const asked = read(line);
        const matches = [prefix(match), { ...ANY, path: null }];
        const target = rewritten(line, kind, value, matches);
        assert.match(target, /^\/[!-"$-~]*$/);
        const again = read(`GET ${target}`);
        assert.equal(again.head.targetRaw, 0, 'nothing raw is left');
        const queryOf = (text: string): string =>
          text.includes('?') ? text.slice(text.indexOf('?')) : '';
        assert.equal(queryOf(target), queryOf(sent(asked, {})[0]?.split(' ')[1] ?? ''));
        const uri = new URL(location(asked, { path: { kind, value } }, matches));
        assert.equal(uri.origin, 'http://a:8080');
        assert.equal(uri.hash, '');
      },
    ),
    { numRuns: 1_000 },
  );
});

/** As a list of fields, one change after the other. */
function changed(fields: readonly (readonly [string, string])[], changes: readonly FieldChange[]) {
  let list = fields;
  for (const { action, name, value } of changes) {
    if (action !== 'add') list = list.filter(([each]) => each.toLowerCase() !== name);
    if (action !== 'remove') list = [...list, [name, value]];
  }
  return list;
}

test('the fields that leave are those that one change after the other leaves', () => {
  const name = fc.constantFrom('x', 'x-a', 'x-b', 'x-ab', 'y');
  const value = fc.constantFrom('', '1', '2, 3', 'é');
  const change = fc.record({
    action: fc.constantFrom('set' as const, 'add' as const, 'remove' as const),
    name,
    value,
  });
  const field = fc.tuple(fc.constantFrom('X', 'x-a', 'X-B', 'X-AB', 'z'), value);
  fc.assert(
    fc.property(
      fc.array(field, { maxLength: 6 }),
      fc.array(change, { maxLength: 5 }),
      fc.array(change, { maxLength: 5 }),
      (fields, ofRoute, ofBackend) => {
        const text = fields.map(([each, is]) => `${each}: ${is}\r\n`).join('');
        const asked = read('GET /', `Host: a\r\n${Buffer.from(text).toString('latin1')}`);
        const lines = sent(asked, { request: ofRoute }, { request: ofBackend }).slice(2);
        const expected = changed(fields, [...ofRoute, ...ofBackend]);
        // The order counts among lines of one name alone.
        const sorted = (list: readonly string[]): string[] =>
          list.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0));
        const wanted = expected.map(([each, is]) =>
          Buffer.from(`${each}: ${is}`).toString('latin1'),
        );
        assert.deepEqual(sorted(lines), sorted(wanted));
      },
    ),
    { numRuns: 500 },
  );
});

function nameOf(line: string): string {
  return line.slice(0, line.indexOf(':')).toLowerCase();
}
