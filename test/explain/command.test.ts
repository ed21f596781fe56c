/** `maesh explain` as a command: exit codes, usage, JSON, colours. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { explainCommand } from '../../src/cli/explain.ts';
import { maesh } from '../../src/cli/maesh.fixture.ts';
import { isObject, parseJson, SchemaChecker } from '../support/json-schema.ts';

const SHOP = join(import.meta.dirname, '../../examples/shop');
const SCHEMA = join(import.meta.dirname, '../../docs/explain.schema.json');
const FROM_SHOP = ['-f', SHOP];

test('maesh explain -o json prints one document of the schema and the exit code of the answer', async () => {
  const document = parseJson(readFileSync(SCHEMA, 'utf8'));
  assert.ok(isObject(document));
  const checker = new SchemaChecker(document);
  const cases: readonly (readonly [url: string, code: number])[] = [
    ['http://cart.shop.maesh/', 0],
    ['http://cart.shop.maesh:81/', 1],
    ['http://nowhere.example/', 1],
    ['http://cart.shop.maesh/a b', 1],
    ['grpc://cart.shop.maesh/shop.Cart/Get', 0],
    ['grpc://cart.shop.maesh:81/shop.Cart/Get', 1],
  ];
  for (const [url, expected] of cases) {
    // oxlint-disable-next-line no-await-in-loop -- one process at a time
    const { code, out, err } = await maesh(['explain', url, ...FROM_SHOP, '-o', 'json']);
    assert.deepEqual([code, err], [expected, ''], url);
    const explanation = parseJson(out);
    assert.deepEqual(checker.check(explanation, '#/$defs/Explanation'), [], url);
    assert.ok(isObject(explanation));
    assert.equal(explanation['forwarded'], expected === 0);
  }
});

test('maesh explain says what is wrong with its use, all together', async () => {
  const wrong = ['explain', 'GET', 'ftp://web.shop.maesh/', '-H', 'x-user', '--body-bytes', 'x'];
  const { code, out, err } = await maesh([...wrong, ...FROM_SHOP]);
  assert.deepEqual([code, out], [2, '']);
  assert.deepEqual(err.split('\n'), [
    'maesh: Cannot explain "ftp://web.shop.maesh/": give a URL, as in http://web.shop.maesh/cart',
    'maesh: Cannot use "x" for --body-bytes: give a whole number',
    'maesh: Cannot use "x-user" for --header: give a name and a value, as in "x-user: 7"',
    '',
  ]);
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /Cannot explain without a URL/],
    [['GET', 'http://a/', 'http://b/'], /Cannot explain "GET http:\/\/a\/ http:\/\/b\/"/],
    [
      ['GET', 'grpc://cart.shop.maesh/shop.Cart/Get'],
      /Cannot explain "GET grpc:\/\/cart.*": calls of gRPC are POST, leave the method out/,
    ],
    [['POST', 'ws://web.shop.maesh/'], /: a WebSocket is opened by GET, leave the method out/],
    ...['grpc://cart.shop.maesh', 'GRPC://cart.shop.maesh/a/b/c', 'grpc://cart/a/b?c'].map(
      (url): [string[], RegExp] => [[url], /": give package, service and method, as in grpc:\/\//],
    ),
    [['http://web.shop.maesh/', '--from', 'shop/clinet'], /did you mean "shop\/client"\?/],
    [
      ['http://web.shop.maesh/', '--admin', 'http://127.0.0.1:1'],
      /Cannot use several of -f, --admin and --cluster/,
    ],
  ];
  for (const [args, pattern] of cases) {
    // oxlint-disable-next-line no-await-in-loop -- one process at a time
    const result = await maesh(['explain', ...args, ...FROM_SHOP]);
    assert.deepEqual([result.code, result.out], [2, ''], args.join(' '));
    assert.match(result.err, pattern);
  }
});

test('maesh explain without a mesh to ask fails with the way out', async () => {
  const { code, err } = await maesh(['explain', 'http://a.b.maesh/', '--admin', '127.0.0.1:1']);
  assert.equal(code, 1);
  assert.match(err, /Cannot query the mesh at "http:\/\/127\.0\.0\.1:1": nothing listens there/);
});

test('maesh explain colours only where it is asked to, and escapes what would steer the terminal', async () => {
  const run = async (isColored: boolean): Promise<string> => {
    let out = '';
    const io = {
      out: (text: string) => void (out += text),
      err: () => assert.fail(),
      onSignal: () => assert.fail(),
    };
    const exit = (): void => undefined;
    const command = explainCommand({ io, env: {}, isColored, exit });
    await command.parseAsync(['http://web.shop.maesh/\u001b[31m', ...FROM_SHOP], { from: 'user' });
    return out;
  };
  // oxlint-disable-next-line no-control-regex -- the escape character is what this is about
  assert.doesNotMatch(await run(false), /\u001b/);
  const colored = await run(true);
  // oxlint-disable-next-line no-control-regex -- the escape character is what this is about
  assert.match(colored, /\u001b\[1mGET http:\/\/web\.shop\.maesh\/\\u001b\[31m/);
});
