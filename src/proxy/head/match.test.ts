import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { HttpMatch } from '../../model/route.ts';
import { parseRequestHead } from '../http1/codec/request-head.ts';
import { Head } from './head.ts';
import { Matcher } from './match.ts';
import { pathOf, PathView } from './path-view.ts';

const ANY: HttpMatch = { path: null, method: '', headers: [], query: [] };
const view = new PathView();

function takes(match: Partial<HttpMatch>, line: string, fields = '', isTrusted = false): boolean {
  const head = new Head(50);
  const data = Buffer.from(`${line} HTTP/1.1\r\nHost: web.shop\r\n${fields}\r\n`, 'latin1');
  const end = parseRequestHead(data, 0, data.length, head, {
    headBytesMax: 30_000,
    headFieldsMax: 50,
  });
  assert.equal(end, data.length, head.rule);
  return new Matcher({ ...ANY, ...match }).takes(data, head, view.read(data, head), isTrusted);
}

const exact = (value: string) => ({ path: { kind: 'exact', value } }) as const;
const prefix = (value: string) => ({ path: { kind: 'prefix', value } }) as const;
const header = (name: string, value: string) => ({ headers: [{ name, value }] });
const query = (name: string, value: string) => ({ query: [{ name, value }] });

const CASES: readonly (readonly [
  what: string,
  match: Partial<HttpMatch>,
  line: string,
  fields: string,
  isTaken: boolean,
])[] = [
  ['nothing asked', {}, 'GET /', '', true],
  ['the method', { method: 'POST' }, 'POST /', 'Content-Length: 0\r\n', true],
  ['another method', { method: 'POST' }, 'GET /', '', false],
  ['a method in another case', { method: 'get' }, 'GET /', '', false],
  ['the beginning of a method', { method: 'GE' }, 'GET /', '', false],
  ['the path', exact('/a'), 'GET /a', '', true],
  ['the path with a query', exact('/a'), 'GET /a?b=c', '', true],
  ['a longer path', exact('/a'), 'GET /ab', '', false],
  ['a path below', exact('/a'), 'GET /a/', '', false],
  ['the path in another case', exact('/a'), 'GET /A', '', false],
  ['a prefix', prefix('/a'), 'GET /a/b', '', true],
  ['the prefix itself', prefix('/a'), 'GET /a', '', true],
  ['a prefix with a slash', prefix('/a/'), 'GET /a', '', true],
  ['half an element', prefix('/a'), 'GET /ab', '', false],
  ['everything', prefix('/'), 'GET /x/y', '', true],
  ['everything of the server', prefix('/'), 'OPTIONS *', '', true],
  ['the server as a whole', exact('/'), 'OPTIONS *', '', false],
  ['… in the other spelling', exact('/'), 'OPTIONS http://other', '', false],
  ['… which is everything, too', prefix('/'), 'OPTIONS http://other', '', true],
  ['its root', exact('/'), 'OPTIONS http://other/', '', true],
  ['its root with a query', exact('/'), 'OPTIONS http://other?a', '', true],
  ['an absolute target', prefix('/a'), 'GET http://other/a/b?c', '', true],
  ['an absolute target without a path', exact('/'), 'GET http://other?c', '', true],
  ['letters that are encoded', prefix('/admin'), 'GET /%61dmin/x', '', true],
  ['an encoded slash, which is none', prefix('/a'), 'GET /a%2fb', '', false],
  ['an encoded slash in small digits', exact('/a%2Fb'), 'GET /a%2fb', '', true],
  ['a way round by dots', prefix('/admin'), 'GET /public/../admin', '', true],
  ['a way round by encoded dots', prefix('/admin'), 'GET /public/%2e%2E/admin', '', true],
  ['dots out of the prefix', prefix('/public'), 'GET /public/../admin', '', false],
  ['dots above the root', exact('/a'), 'GET /../../a', '', true],
  ['dots at the end', exact('/a/'), 'GET /a/b/..', '', true],
  ['one dot', exact('/a/b'), 'GET /a/./b', '', true],
  ['three dots, which are a name', exact('/.../b'), 'GET /.../b', '', true],
  ['a dot in a name', exact('/a.b/.c'), 'GET /a.b/.c', '', true],
  ['bytes that should be encoded', exact('/ä'), 'GET /\u00c3\u00a4', '', true],
  ['bytes that are encoded', exact('/ä'), 'GET /%c3%a4', '', true],
  ['a percent sign that encodes nothing', exact('/%zz'), 'GET /%zz', '', true],
  ['half a code, which is no byte', exact('/%FF'), 'GET /%0z', '', false],
  ['a field', header('x-user', 'ann'), 'GET /', 'X-User: ann\r\n', true],
  ['a field with another value', header('x-user', 'ann'), 'GET /', 'X-User: anna\r\n', false],
  ['no field', header('x-user', ''), 'GET /', '', false],
  ['an empty field', header('x-user', ''), 'GET /', 'X-User:\r\n', true],
  ['a field with more before it', header('user', 'ann'), 'GET /', 'X-User: ann\r\n', false],
  ['two lines', header('x-user', 'ann, bob'), 'GET /', 'X-User: ann\r\nX-User: bob\r\n', true],
  ['one of two lines', header('x-user', 'ann'), 'GET /', 'X-User: ann\r\nX-User: bob\r\n', false],
  [
    'a field that is not sent on',
    header('x-user', 'ann'),
    'GET /',
    'X-User: ann\r\nConnection: x-user\r\n',
    false,
  ],
  ['the host', header('host', 'WEB.shop'), 'GET /', '', true],
  ['the host of the target', header('host', 'other'), 'GET http://other/', '', true],
  ['the host beside it', header('host', 'web.shop'), 'GET http://other/', '', false],
  ['a parameter', query('a', '1'), 'GET /?b=2&a=1', '', true],
  ['a parameter that is encoded', query('a b', 'ü&'), 'GET /?%61+b=%c3%bc%26', '', true],
  ['the first of two', query('a', '1'), 'GET /?a=2&a=1', '', false],
  ['a parameter without a value', query('a', ''), 'GET /?a', '', true],
  ['a value with an equals sign', query('a', 'b=c'), 'GET /?a=b=c', '', true],
  ['an empty query', query('a', ''), 'GET /?', '', false],
  ['no query', query('a', ''), 'GET /', '', false],
  ['all of it', { ...exact('/a'), ...query('b', 'c'), method: 'GET' }, 'GET /a?b=c', '', true],
  ['all but one', { ...exact('/a'), ...query('b', 'c'), method: 'PUT' }, 'GET /a?b=c', '', false],
];

for (const [what, match, line, fields, isTaken] of CASES) {
  test(`${what}: ${JSON.stringify(match)} ${isTaken ? 'takes' : 'leaves'} ${line}`, () => {
    assert.equal(takes(match, line, fields), isTaken);
  });
}

test('what a caller says of where its request comes from counts only when it is trusted, as for the endpoint', () => {
  for (const [name, value] of [
    ['x-forwarded-for', '10.0.0.1'],
    ['x-forwarded-proto', 'https'],
    ['x-forwarded-host', 'admin'],
    ['x-real-ip', '10.0.0.1'],
    ['x-ssl-client-verify', 'SUCCESS'],
  ] as const) {
    const fields = `${name.toUpperCase()}: ${value}\r\n`;
    assert.equal(takes(header(name, value), 'GET /', fields), false, name);
    assert.equal(takes(header(name, value), 'GET /', fields, true), true, name);
  }
});

/** As the URL standard has it, but for what it leaves encoded. */
function pathByUrl(path: string): string {
  const decoded = path.replaceAll(/%([0-9a-f]{2})/giu, (coded, digits: string) => {
    const byte = String.fromCharCode(Number.parseInt(digits, 16));
    return /[\w.~-]/u.test(byte) ? byte : coded.toUpperCase();
  });
  // A path of two slashes would be a host.
  return new URL(`http://x${decoded}`).pathname;
}

const PIECES = [
  '/',
  '/',
  '.',
  '..',
  'a',
  'B',
  '%2e',
  '%2E',
  '%2f',
  '%41',
  '%c3%a4',
  '~',
  ':@',
  '+',
];
const PATH = fc
  .array(fc.constantFrom(...PIECES), { maxLength: 12 })
  .map((pieces) => `/${pieces.join('')}`);

test('the form of a path is what the URL standard makes of it', () => {
  fc.assert(
    fc.property(PATH, (path) => {
      assert.equal(pathOf(path).toString(), pathByUrl(path));
    }),
    { numRuns: 1_000 },
  );
});

test('a path has one form, whether it is read from a request or a configuration', () => {
  fc.assert(
    fc.property(PATH, PATH, (path, other) => {
      assert.equal(takes(exact(path), `GET ${path}`), true);
      assert.equal(pathOf(pathOf(path).toString()).toString(), pathOf(path).toString());
      const isSame = pathByUrl(path) === pathByUrl(other);
      assert.equal(takes(exact(path), `GET ${other}`), isSame);
      const [wanted, asked] = [pathByUrl(path).replace(/\/$/u, ''), pathByUrl(other)];
      const isBelow = wanted === '' || asked === wanted || asked.startsWith(`${wanted}/`);
      assert.equal(takes(prefix(path), `GET ${other}`), isBelow);
    }),
    { numRuns: 1_000 },
  );
});

test('a parameter is what URLSearchParams finds first', () => {
  const piece = fc.constantFrom('a', 'b', '=', '&', '+', '%26', '%3D', '%61', '%', '%2', 'a=1');
  const text = fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(text, fc.constantFrom('a', 'b', 'a b', ''), (search, name) => {
      const value = new URLSearchParams(search).get(name);
      // Between two `&` there is no parameter for that standard, and one without a name for us.
      fc.pre(name !== '');
      // That standard puts the same character in for all bytes that are no text; here they are compared as they are.
      fc.pre(value?.includes('\uFFFD') !== true);
      assert.equal(takes(query(name, value ?? ''), `GET /?${search}`), value !== null);
      assert.equal(takes(query(name, `${value ?? ''}x`), `GET /?${search}`), false);
    }),
    { numRuns: 1_000 },
  );
});
