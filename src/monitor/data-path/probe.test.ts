import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { ManualClock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import type { Outcome, Target } from './call.ts';
import { DataPathProbe } from './probe.ts';
import type { ProbedAgent, ProbeTarget } from './status.ts';

const TARGET: ProbeTarget = {
  host: 'maesh-probe.maesh.maesh',
  address: '10.96.0.9',
  port: 80,
  proxyPort: 10_007,
};
const WORKS: Outcome = { state: 'works', detail: '', durationMs: 3 };

function agentAt(number: number): ProbedAgent {
  return { agent: `maesh/maesh-agent-${number}`, node: `n${number}`, address: `10.1.0.${number}` };
}

function setUp(agents: readonly ProbedAgent[] = []) {
  const clock = new ManualClock();
  const calls: Target[] = [];
  /** By address; what is not there works. */
  const outcomes = new Map<string, Outcome>();
  const state = {
    target: TARGET as ProbeTarget | null,
    agents,
    addresses: ['10.96.0.9'],
    code: '',
  };
  const probe = new DataPathProbe({
    clock,
    random: seededRandom(1),
    target: () => state.target,
    agents: () => state.agents,
    resolve: async () => {
      if (state.code !== '') throw Object.assign(new Error('no'), { code: state.code });
      return state.addresses;
    },
    call: async (target) => {
      calls.push(target);
      return outcomes.get(target.address) ?? WORKS;
    },
  });
  /** Lets the round that is due go on to its end. */
  const round = async (ms: number): Promise<void> => {
    clock.advance(ms);
    for (let i = 0; i < 5; i++) await nextTurn();
  };
  const told = () =>
    probe.problems().map(({ object, value, message }) => `${object} ${value}: ${message}`);
  return { clock, calls, outcomes, state, probe, round, told };
}

test('DataPathProbe calls by name, and through the proxy port of each agent, every 30 s while all work', async () => {
  const { calls, probe, round, told } = setUp([agentAt(1), agentAt(2)]);
  probe.start();
  await round(0);
  assert.deepEqual(
    calls.map(({ address, port, host }) => `${address}:${port} ${host}`).toSorted(),
    [
      '10.1.0.1:10007 maesh-probe.maesh.maesh',
      '10.1.0.2:10007 maesh-probe.maesh.maesh',
      '10.96.0.9:80 maesh-probe.maesh.maesh',
    ],
  );
  assert.deepEqual(
    [probe.status.state, probe.statusOf('maesh/maesh-agent-2').state],
    ['works', 'works'],
  );
  assert.deepEqual(told(), []);
  await round(26_000);
  assert.equal(calls.length, 3);
  await round(8_000);
  assert.equal(calls.length, 6);
  probe.stop();
  await round(60_000);
  assert.equal(calls.length, 6);
});

test('DataPathProbe tells after the second failure in a row where the way ends, asks each 5 s, and takes it back', async () => {
  const { outcomes, probe, round, told } = setUp([agentAt(1), agentAt(2)]);
  outcomes.set('10.96.0.9', { state: 'no-connection', detail: 'ETIMEDOUT', durationMs: 4_000 });
  outcomes.set('10.1.0.1', { state: 'no-connection', detail: 'ETIMEDOUT', durationMs: 4_000 });
  outcomes.set('10.1.0.2', { state: 'failed', detail: '504 connect_timeout', durationMs: 900 });
  probe.start();
  await round(0);
  assert.deepEqual(told(), []);
  await round(6_000);
  assert.deepEqual(told(), [
    'Service maesh/maesh-probe maesh-probe.maesh.maesh: callers cannot connect to 10.96.0.9:80 (ETIMEDOUT): they cannot reach the agents',
    'Pod maesh/maesh-agent-1 10.1.0.1:10007: the agent on n1 cannot be reached by callers (ETIMEDOUT)',
    'Pod maesh/maesh-agent-2 10.1.0.2:10007: a call through the agent on n2 fails (504 connect_timeout): it does not reach Pods',
  ]);
  for (const { severity, remedy } of probe.problems()) {
    assert.ok(severity === 'error' && remedy !== '');
  }
  outcomes.clear();
  await round(6_000);
  assert.deepEqual(told(), []);
  probe.stop();
});

test('DataPathProbe tells of a name that callers do not get, or get wrong', async () => {
  const { state, calls, probe, round, told } = setUp();
  state.code = 'ENOTFOUND';
  probe.start();
  await round(0);
  await round(6_000);
  assert.match(told().join(), /do not get the address 10\.96\.0\.9 for this name \(ENOTFOUND\)/);
  assert.equal(calls.length, 0);
  state.code = '';
  state.addresses = ['192.0.2.1'];
  await round(6_000);
  assert.match(told().join(), /for this name \(192\.0\.2\.1\)/);
  probe.stop();
});

test('DataPathProbe says nothing while its Service has no name, and forgets what was when the address changes', async () => {
  const { state, outcomes, calls, probe, round, told } = setUp([agentAt(1)]);
  state.target = null;
  probe.start();
  await round(0);
  await round(6_000);
  assert.deepEqual([calls.length, told(), probe.status.state], [0, [], 'unknown']);
  state.target = TARGET;
  outcomes.set('10.96.0.9', { state: 'no-connection', detail: 'ECONNREFUSED', durationMs: 1 });
  await round(6_000);
  await round(6_000);
  assert.equal(told().length, 1);
  state.target = null;
  await round(6_000);
  assert.deepEqual(told(), []);
  probe.stop();
});

test('DataPathProbe calls ten agents in a round, all of them in turn, those that fail among the first', async () => {
  const agents = Array.from({ length: 25 }, (_, i) => agentAt(i + 1));
  const { calls, outcomes, state, probe, round, told } = setUp(agents);
  outcomes.set('10.1.0.3', { state: 'no-connection', detail: 'ETIMEDOUT', durationMs: 1 });
  const calledIn = async (ms: number): Promise<readonly string[]> => {
    calls.length = 0;
    if (ms === 0) probe.start();
    await round(ms);
    return calls.map(({ address }) => address).filter((address) => address !== '10.96.0.9');
  };
  const seen = new Set<string>();
  for (let i = 0; i < 4; i++) {
    const called = await calledIn(i === 0 ? 0 : 6_000);
    assert.equal(called.length, 10);
    for (const address of called) seen.add(address);
  }
  assert.equal(seen.size, 25);
  assert.equal(told().length, 1);
  state.agents = agents.filter(({ node }) => node !== 'n3');
  await round(6_000);
  assert.deepEqual(told(), [], 'an agent that is gone is no problem');
  probe.stop();
});
