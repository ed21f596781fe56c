/** Policies that hold for sessions of UDP as they do for requests: who gets them, and what is told of them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { Policies } from '../../src/model/policy.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { exampleEndpoint } from '../support/model.ts';
import { TestProxy } from '../support/proxy.ts';
import { accessLogOf } from '../support/access-log.ts';
import { ask, caller, deafUdp, echo, placeOf, udpFor } from '../support/udp.ts';
import { eventually } from '../support/wire.ts';

const { balance } = DEFAULT_POLICIES;

async function whoAnswers(
  t: Parameters<typeof caller>[0],
  from: string,
  at: Parameters<typeof ask>[1],
) {
  const socket = await caller(t, from);
  return (await ask(socket, at, 'x')).split(' ')[0] ?? '';
}

const STICKY: Readonly<Record<string, Partial<Policies>>> = {
  'hash-key: source': {
    balance: { ...balance, algorithm: 'consistent-hash', hashKey: { kind: 'source' } },
  },
  'sessionAffinity: ClientIP': { sourceAffinity: { timeoutMs: 60_000 } },
};

for (const [name, policies] of Object.entries(STICKY)) {
  test(`a caller stays with its Pod over sessions, by ${name}`, async (t) => {
    const endpoints = [await echo(t), await echo(t), await echo(t)];
    const { at } = await udpFor(t, endpoints, { policies });
    const seen = new Set<string>();
    for (let i = 1; i <= 12; i++) {
      const from = `127.0.0.${i}`;
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const first = await whoAnswers(t, from, at);
      // oxlint-disable-next-line no-await-in-loop -- likewise
      assert.equal(await whoAnswers(t, from, at), first);
      seen.add(first);
    }
    assert.ok(seen.size > 1, 'and others with others');
  });
}

test('sessions go to endpoints on the node of their caller, whose identity the mesh knows', async (t) => {
  const [near, far] = [await echo(t), await echo(t)];
  const proxy = new TestProxy(t);
  const on = ({ address, port }: typeof near, node: string) =>
    exampleEndpoint(address, { port, node });
  const service = proxy.service({
    udp: true,
    endpoints: [on(near, 'n1'), on(far, 'n2')],
    policies: { balance: { ...balance, locality: 'require-node' } },
  });
  const identity = {
    namespace: 'shop',
    pod: 'client',
    serviceAccount: 'default',
    zone: '',
    doubt: '' as const,
    labels: {},
  };
  await proxy.apply([service], {
    identities: [
      { ...identity, address: '127.0.0.11', node: 'n1' },
      { ...identity, address: '127.0.0.12', node: 'n2' },
    ],
  });
  for (let i = 0; i < 5; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await whoAnswers(t, '127.0.0.11', placeOf(service)), near.address);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(await whoAnswers(t, '127.0.0.12', placeOf(service)), far.address);
  }
});

test('another Service takes over for one without endpoints, and gives back', async (t) => {
  const [own, second] = [await echo(t), await echo(t)];
  const proxy = new TestProxy(t);
  const failover = { service: 'test/dr', below: 0, returnMs: 0 };
  const dr = proxy.service({ key: 'test/dr', port: 21_353, udp: true, endpoints: [second] });
  const web = (endpoints: readonly (typeof own)[]) =>
    proxy.service({ key: 'test/web', port: 21_353, udp: true, endpoints, policies: { failover } });
  await proxy.apply([dr, web([])]);
  const from = await caller(t);
  const at = placeOf(web([]));
  assert.equal(await ask(from, at, 'a'), `${second.address} a`);
  await proxy.apply([web([own])]);
  await eventually(() => {
    void caller(t).then((each) => each.send('b', at));
    return own.came.length > 0;
  }, 'it is given back');
  assert.equal(await ask(from, at, 'c'), `${second.address} c`, 'a session stays');
});

test('the access log has a line per session, and one per refused datagram', async (t) => {
  const endpoint = await echo(t);
  const { proxy, service, at } = await udpFor(t, [endpoint], { manual: true });
  const written = accessLogOf(t, proxy);
  const from = await caller(t);
  await ask(from, at, 'abc');
  proxy.advance(61_000);
  await proxy.apply([proxy.service({ key: service.key, udp: true, endpoints: [] })]);
  from.send('x', at);
  await eventually(() => proxy.failures(service, 'no_endpoint') === 1, 'its refusal');
  await proxy.context.accessLog?.log.close();
  const lines = written.text.trimEnd().split('\n');
  assert.equal(lines.length, 2, written.text);
  const [session, refused] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(session?.['protocol'], 'UDP');
  assert.match(lines[0] ?? '', new RegExp(endpoint.address));
  assert.match(lines[1] ?? '', /no_endpoint/);
  assert.equal(refused?.['protocol'], 'UDP');
});

test('a flood of refused datagrams has ten lines a second, and the others are counted', async (t) => {
  const { proxy, service, at } = await udpFor(t, [], { manual: true });
  const written = accessLogOf(t, proxy);
  const from = await caller(t);
  const refuse = (count: number): Promise<void> => {
    const due = proxy.failures(service, 'no_endpoint') + count;
    for (let i = 0; i < count; i++) from.send('x', at);
    return eventually(() => proxy.failures(service, 'no_endpoint') === due, 'their refusals');
  };
  const log = proxy.context.accessLog?.log;
  await refuse(50);
  assert.equal(log?.leftOut, 40);
  proxy.advance(1_000);
  await refuse(20);
  assert.equal(log?.leftOut, 50);
  await log?.close();
  assert.equal(written.text.trimEnd().split('\n').length, 20);
});

test('every algorithm serves sessions, and goes round an endpoint that cannot be reached', async (t) => {
  for (const algorithm of [
    'least-request',
    'round-robin',
    'weighted',
    'peak-ewma',
    'consistent-hash',
  ] as const) {
    // oxlint-disable no-await-in-loop -- one after the other
    const [one, two, dead] = [await echo(t), await echo(t), await deafUdp(t)];
    const policies = { balance: { ...balance, algorithm, hashKey: { kind: 'source' as const } } };
    const { proxy, service, at } = await udpFor(t, [one, two, dead], { policies });
    const callers = await Promise.all(
      Array.from({ length: 30 }, (_, i) => caller(t, `127.0.0.${i + 1}`)),
    );
    for (const from of callers) {
      await eventually(() => {
        if (from.came.length === 0) from.send('x', at);
        return from.came.length > 0;
      }, `an answer by ${algorithm}`);
    }
    // oxlint-enable no-await-in-loop
    assert.ok(one.came.length > 0 && two.came.length > 0, algorithm);
    assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 30, algorithm);
  }
});
