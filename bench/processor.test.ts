import assert from 'node:assert/strict';
import { test } from 'node:test';
import { processorName, processorOf } from './processor.ts';

test('processorOf() knows the makes by the names that systems give', () => {
  assert.equal(processorOf('AMD EPYC (family 26, model 2)'), 'amd');
  assert.equal(processorOf('AMD Ryzen 7 7840U w/ Radeon 780M Graphics'), 'amd');
  assert.equal(processorOf('Intel(R) Xeon(R) Platinum 8488C'), 'intel');
  assert.equal(processorOf('Neoverse-V2'), 'arm');
  assert.equal(processorOf('arm64, of unknown name'), 'arm');
  assert.equal(processorOf('POWER9'), 'other');
});

test('processorName() is never empty', () => {
  assert.notEqual(processorName(), '');
});
