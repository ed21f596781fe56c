import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleService } from '../../test/support/model.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_POLICIES } from './defaults.ts';
import { troubleProblem } from './trouble.ts';

const EJECTED = { service: 'shop/web', kind: 'ejected', detail: '10.1.0.1:8080' } as const;

test('an ejection that stays names health checks where there are some, of the Service or of a port', () => {
  const plain = exampleService('shop/web', { ports: [80] });
  const { message, remedy } = troubleProblem(EJECTED, plain);
  assert.equal(message, 'this endpoint stays ejected, because calls to it keep failing');
  assert.doesNotMatch(remedy, /check.*find/);
  const healthCheck = DEFAULT_HEALTH_CHECK;
  const checked = exampleService('shop/web', { ports: [80], policies: { healthCheck } });
  const policies = { ...DEFAULT_POLICIES, healthCheck };
  const ofPort = { ...plain, ports: plain.ports.map((port) => ({ ...port, policies })) };
  for (const service of [checked, ofPort]) {
    const said = troubleProblem(EJECTED, service);
    assert.match(said.message, /its health checks or calls to it keep failing/);
    assert.match(said.remedy, /what its checks find: .*status/);
  }
});
