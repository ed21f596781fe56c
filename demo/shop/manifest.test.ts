import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { behaviourOf } from './behaviour.ts';
import { readShop } from './manifest.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url));
const SHOP = readShop(`${EXAMPLES}/shop`);

test('readShop() finds Pods and the Services that select them', () => {
  assert.deepEqual(
    SHOP.services.map((service) => `${service.name} ${service.port} ${service.pods.length}`),
    [
      'ads 80 2',
      'cart 80 2',
      'catalog 80 3',
      'orders 5432 2',
      'payment 80 2',
      'price 80 2',
      'recommend 80 2',
      'stock 80 2',
      'web 80 3',
    ],
  );
});

test('the Pods of the shop have addresses of their own and arguments that the demo knows', () => {
  const addresses = SHOP.pods.map((pod) => pod.ip);
  assert.equal(new Set(addresses).size, SHOP.pods.length);
  for (const pod of SHOP.pods) {
    assert.match(pod.ip, /^127\.1\./);
    behaviourOf(pod.args);
  }
});

test('maesh check has nothing to say about the examples', async () => {
  const run = promisify(execFile);
  const bin = fileURLToPath(new URL('../../bin/maesh', import.meta.url));
  const { stdout } = await run(bin, ['check', '-f', `${EXAMPLES}/shop`, '-f', `${EXAMPLES}/first`]);
  assert.match(stdout, /No problems in 10 Services/);
});
