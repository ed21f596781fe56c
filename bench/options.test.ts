import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMPARABLE, TOGETHER } from './compare.ts';
import { STAGES } from './figures.ts';
import { allowedCores } from './host.ts';
import { readOptions, type BenchOptions } from './options.ts';

const skip = allowedCores().length < 2 ? 'the benchmark needs two cores' : false;

function read(...args: string[]): BenchOptions {
  const options = readOptions(args, '/checkout');
  assert.ok(options !== 'help');
  return options;
}

test('without options everything is measured, into the checkout', { skip }, () => {
  const options = read();
  assert.deepEqual(options.only, STAGES);
  assert.equal(options.out, '/checkout/docs/benchmarks');
  assert.deepEqual([options.rounds, options.seconds], [5, 8]);
});

test('--quick is short and leaves the checkout alone', { skip }, () => {
  const options = read('--quick');
  assert.deepEqual([options.rounds, options.seconds], [1, 2]);
  assert.ok(!options.out.startsWith('/checkout'));
});

test('--only h2 stands for all stages of HTTP/2', { skip }, () => {
  assert.deepEqual(read('--only', 'churn,h2').only, ['churn', 'h2-20', 'h2-100', 'h2-h1', 'grpc']);
});

test('--only tls stands for all stages of TLS', { skip }, () => {
  const stages = ['tls-new', 'tls-resumed', 'tls-bulk', 'tls-endpoints'];
  assert.deepEqual(read('--only', 'tls').only, stages);
});

test('--against takes only stages with any number of peers', { skip }, () => {
  const options = read('--against', 'abc');
  assert.deepEqual(options.only, COMPARABLE);
  assert.ok(!options.out.startsWith('/checkout'));
  assert.throws(
    () => read('--against', 'abc', '--only', 'scale'),
    /No stage "scale" with --against: there are small, /,
  );
});

test(
  '--together is for two commits, and for stages whose load is as much as fits',
  { skip },
  () => {
    assert.deepEqual(read('--against', 'abc', '--together').only, TOGETHER);
    assert.throws(() => read('--together'), /Cannot use --together without --against/);
    assert.throws(
      () => read('--against', 'abc', '--together', '--only', 'rate'),
      /No stage "rate" with --together: there are small, /,
    );
  },
);

test('options that make no sense are refused with what to do', { skip }, () => {
  assert.throws(() => read('--only', 'smal'), /No stage "smal": there are small, /);
  assert.throws(() => read('--rounds', '0'), /--rounds "0": give a whole number from 1 to 100/);
  assert.throws(() => read('--seconds', '1.5'), /--seconds "1.5": give a whole number from 1 to/);
  assert.throws(() => read('--maesh', 'bin/maesh', '--commit', 'abc'), /both say which maesh/);
  assert.throws(() => read('--cores', '0,0'), /Cannot use --cores "0,0"/);
});
