import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleService, withProtocol } from '../../test/support/model.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_POLICIES } from './defaults.ts';
import type { Protocol } from './service.ts';
import { noEndpointProblem, troubleProblem } from './trouble.ts';

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

function speaking(...protocols: readonly Protocol[]): ReturnType<typeof exampleService> {
  const service = exampleService('shop/web', { ports: protocols.map((_, i) => 80 + i) });
  const ports = service.ports.map((port, i) => withProtocol(port, protocols[i] ?? 'http'));
  return { ...service, ports };
}

test('without an endpoint callers are told of what those of the port get', () => {
  const said = (...protocols: readonly Protocol[]): string | undefined =>
    noEndpointProblem(speaking(...protocols))?.message;
  assert.equal(said('http'), 'calls get 503');
  assert.equal(said('tcp'), 'connections are reset');
  assert.equal(said('udp', 'udp'), 'datagrams are dropped');
  assert.equal(
    said('udp', 'tcp', 'http'),
    'calls get 503, connections are reset, datagrams are dropped',
  );
});

test('a status is only said to be answered where there is one', () => {
  const failing = { service: 'shop/web', kind: 'failing', detail: 'connect_failed' } as const;
  assert.match(troubleProblem(failing, speaking('tcp', 'http')).message, /fails with 502: /);
  assert.match(troubleProblem(failing, speaking('tcp', 'udp')).message, /fails: the endpoint/);
});
