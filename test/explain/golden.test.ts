/** What `maesh explain` prints for typical requests to the shop. UPDATE=1 writes the files anew. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { maesh } from '../../src/cli/maesh.fixture.ts';

const HERE = import.meta.dirname;
const SHOP = join(HERE, '../../examples/shop');
const ENDING = '.out.txt';

const CASES: Readonly<Record<string, readonly string[]>> = {
  'web-from-a-pod': [
    'GET',
    'http://web.shop.maesh/cart',
    '--from',
    'shop/client',
    '-H',
    'x-user: 7',
  ],
  'cart-by-hash': ['http://cart.shop.maesh/', '--from', 'shop/client', '-H', 'x-user: 7'],
  'catalog-by-weight': ['http://catalog.shop.maesh/'],
  'stock-nearby': ['HEAD', 'http://stock.shop.traefik.mesh/', '--from', '127.1.20.5'],
  'payment-not-repeated': ['POST', 'http://payment.shop.maesh/', '--body-bytes', '100000'],
  'recommend-with-breaker': ['http://RECOMMEND.shop.maesh?like=tea'],
  'ads-with-limit': ['http://ads.shop.maesh/', '-H', 'Host: ads.example'],
  'bad-head': ['http://web.shop.maesh/', '-H', 'Host: a', '-H', 'Host: b'],
  'bad-block': ['--http2', 'http://web.shop.maesh/', '-H', 'Host: a', '-H', 'Host: b'],
  'cart-by-hash-http2': ['--http2', 'http://cart.shop.maesh/', '-H', 'x-user: 7'],
  'grpc-call': ['grpc://stock.shop.maesh/shop.Stock/Count', '-H', 'grpc-timeout: 50m'],
  'grpc-call-too-late': ['GRPC://stock.shop.maesh/shop.Stock/Count', '-H', 'grpc-timeout: 0n'],
  'grpc-call-of-a-length': ['grpc://stock.shop.maesh/shop.Stock/Count', '--body-bytes', '70000'],
  'web-socket': ['ws://web.shop.maesh/chat'],
  'web-socket-http2': ['--http2', 'ws://web.shop.maesh/chat'],
  'upgrade-to-h2c': ['http://web.shop.maesh/', '-H', 'Connection: Upgrade', '-H', 'Upgrade: h2c'],
  'unknown-name': ['http://wbe.shop.maesh/'],
  'unknown-port': ['http://web.shop.maesh:8080/'],
};

/** A shell line that gives the same, then what it gives. */
function transcript(args: readonly string[], result: Awaited<ReturnType<typeof maesh>>): string {
  const words = args.map((word) => (/^[\w:/.?=-]+$/.test(word) ? word : `'${word}'`));
  const command = `$ maesh explain ${words.join(' ')} -f examples/shop`;
  return `${command}\n${result.out}${result.err}exit code ${result.code}\n`;
}

for (const [name, args] of Object.entries(CASES)) {
  test(`maesh explain: ${name}`, async () => {
    const result = await maesh(['explain', ...args, '-f', SHOP]);
    const text = transcript(args, result);
    const file = join(HERE, `${name}${ENDING}`);
    if (process.env['UPDATE'] === '1') writeFileSync(file, text);
    assert.equal(text, readFileSync(file, 'utf8'));
  });
}

test('every file of expected output belongs to a case', () => {
  const files = readdirSync(HERE).filter((file) => file.endsWith(ENDING));
  assert.deepEqual(
    files.map((file) => file.slice(0, -ENDING.length)).sort(),
    Object.keys(CASES).sort(),
  );
});
