import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentStatus } from '../discovery/session.ts';
import type { Refused } from '../discovery/understanding.ts';
import { notServedProblems } from './agent-problems.ts';

function agent(name: string, notServed: readonly Refused[], build = '0.1.0'): AgentStatus {
  return {
    agent: `maesh/${name}`,
    node: `node-of-${name}`,
    build,
    protocol: 1,
    connectedAtMs: 0,
    sentVersion: 1,
    servedVersion: 1,
    listenFailures: [],
    lagMs: 0,
    troubles: [],
    remote: '10.0.0.1:1',
    carries: ['http'],
    notServed,
  };
}

test('what agents do not know is one problem for each thing, with agents and Services', () => {
  const access = { key: 'shop/web', unknown: ['service.access'] };
  const both = { key: 'shop/api', unknown: ['port.tls', 'service.access'] };
  const problems = notServedProblems([
    agent('a', [access, both]),
    agent('b', [access], ''),
    agent('c', []),
  ]);
  assert.deepEqual(
    problems.map(({ value }) => value),
    ['port.tls', 'service.access'],
  );
  assert.match(
    problems[0]!.message,
    /do not know "port.tls" .*: maesh\/a on node-of-a \(0.1.0\) leave out shop\/api$/,
  );
  assert.match(
    problems[1]!.message,
    /: maesh\/a on node-of-a \(0.1.0\), maesh\/b on node-of-b \(unknown version\) leave out shop\/api, shop\/web$/,
  );
});

test('many agents and Services are counted, not listed', () => {
  const notServed = Array.from({ length: 9 }, (_, i) => ({
    key: `shop/web-${i}`,
    unknown: ['route.match'],
  }));
  const agents = Array.from({ length: 8 }, (_, i) => agent(`a${i}`, notServed));
  const [problem] = notServedProblems(agents);
  assert.match(problem!.message, /maesh\/a2 on node-of-a2 \(0.1.0\) and 5 more leave out/);
  assert.match(problem!.message, /shop\/web-2 and 6 more$/);
});
