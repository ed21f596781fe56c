import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { decode, encode } from 'dns-packet';

import { ManualClock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import { DnsProbe, askOnce } from './probe.ts';

/** Queries for a domain in a round. */
const ASKS = 8;

/** A resolver whose answers a test sets: a name of a server, or a code. */
class FakeResolver {
  asked: string[] = [];
  readonly answers = new Map<string, string>();

  async resolveSoa(domain: string): Promise<{ nsname: string }> {
    this.asked.push(domain);
    const answer = this.answers.get(domain) ?? 'ENOTFOUND';
    if (!/^E[A-Z]+$/.test(answer)) return { nsname: answer };
    throw Object.assign(new Error(`querySoa ${answer} ${domain}`), { code: answer });
  }
}

function setUp(domains = ['maesh', 'traefik.mesh']) {
  const clock = new ManualClock();
  const resolve = new FakeResolver();
  const probe = new DnsProbe({
    clock,
    random: seededRandom(1),
    resolver: () => resolve,
    domains,
  });
  return { clock, resolve, probe };
}

test('DnsProbe asks for every domain, every 30 s while all work', async () => {
  const { clock, resolve, probe } = setUp();
  resolve.answers.set('maesh', 'ns.dns.maesh').set('traefik.mesh', 'ns.dns.traefik.mesh');
  probe.start();
  probe.start();
  await nextTurn();
  assert.deepEqual([...new Set(resolve.asked)], ['maesh', 'traefik.mesh']);
  assert.equal(resolve.asked.length, 2 * ASKS);
  assert.deepEqual(probe.problems(), []);
  clock.advance(26_999);
  await nextTurn();
  assert.equal(resolve.asked.length, 2 * ASKS);
  clock.advance(6_001);
  await nextTurn();
  assert.equal(resolve.asked.length, 4 * ASKS);
  probe.stop();
});

test('DnsProbe tells a problem after the second failure in a row, asks each 5 s, and takes it back', async () => {
  const { clock, resolve, probe } = setUp(['maesh']);
  probe.start();
  await nextTurn();
  assert.deepEqual(probe.problems(), []);
  clock.advance(5_500);
  await nextTurn();
  const [problem] = probe.problems();
  assert.match(
    `${problem?.object}: ${problem?.message}; ${problem?.remedy}`,
    /^DNS domain maesh: "maesh" does not resolve in Pods: .+ \(ENOTFOUND\); wait a minute/,
  );
  resolve.answers.set('maesh', 'ns.dns.maesh');
  clock.advance(5_500);
  await nextTurn();
  assert.deepEqual([probe.problems(), resolve.asked.length], [[], 3 * ASKS]);
  probe.stop();
});

test('DnsProbe waits for each replica of the cluster DNS, and leaves lost packets alone', async () => {
  const { clock, resolve, probe } = setUp(['maesh']);
  const round = async (...answers: readonly string[]): Promise<readonly string[]> => {
    let n = 0;
    resolve.resolveSoa = async () => {
      const answer = answers[n++ % answers.length] ?? '';
      if (answer.startsWith('ns.')) return { nsname: answer };
      throw Object.assign(new Error(answer), { code: answer });
    };
    clock.advance(33_000);
    await nextTurn();
    return probe.problems().map(({ message }) => message);
  };
  resolve.answers.set('maesh', 'ns.dns.maesh');
  probe.start();
  await nextTurn();
  const works = 'ns.dns.maesh';
  // One of two has not read its configuration yet.
  assert.deepEqual(await round(works, 'ENOTFOUND'), []);
  const [problem] = await round(works, 'ENOTFOUND');
  assert.match(problem ?? '', /does not resolve in Pods: .+ \(ENOTFOUND, 4 of 8 queries\)$/);
  assert.deepEqual(await round(works), []);
  for (let n = 0; n < 3; n++) {
    const lost = await round(works, works, works, works, works, works, works, 'ETIMEOUT');
    assert.deepEqual(lost, []);
  }
  probe.stop();
});

test('DnsProbe tells apart how a domain fails', async () => {
  const { resolve } = setUp();
  const states: string[] = [];
  for (const answer of [
    'ENOTFOUND',
    'ENODATA',
    'a.root-servers.net',
    'notmaesh',
    'ESERVFAIL',
    'EREFUSED',
    'ETIMEOUT',
    'EBADRESP',
  ]) {
    resolve.answers.set('maesh', answer);
    const { state, detail } = await askOnce(resolve, 'maesh');
    assert.equal(detail, answer);
    states.push(state);
  }
  assert.deepEqual(states, [
    'not-forwarded',
    'foreign',
    'foreign',
    'foreign',
    'failed-behind',
    'refused',
    'no-answer',
    'error',
  ]);
});

test('DnsProbe forgets what was under way when it stops', async () => {
  const { clock, resolve, probe } = setUp(['maesh']);
  probe.start();
  probe.stop();
  await nextTurn();
  clock.advance(60_000);
  await nextTurn();
  assert.deepEqual([resolve.asked.length, probe.problems()], [ASKS, []]);
});

test('DnsProbe understands the resolver of Node', async (context) => {
  const server = createSocket('udp4');
  context.after(() => server.close());
  let rcode = 'NOERROR';
  server.on('message', (bytes, peer) => {
    const query = decode(bytes);
    const soa = {
      mname: 'ns.dns.maesh',
      rname: 'hostmaster.maesh',
      serial: 1,
      refresh: 1,
      retry: 1,
      expire: 1,
      minimum: 1,
    };
    const answers =
      rcode === 'NOERROR' ? [{ type: 'SOA' as const, name: 'maesh', ttl: 5, data: soa }] : [];
    const flags = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3 }[rcode] ?? 0;
    const answer = encode({
      type: 'response',
      id: query.id,
      flags,
      questions: query.questions,
      answers,
    } as never);
    server.send(answer, peer.port, peer.address);
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const resolver = new Resolver({ timeout: 1_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${server.address().port}`]);
  assert.equal((await askOnce(resolver, 'maesh')).state, 'works');
  rcode = 'NXDOMAIN';
  assert.equal((await askOnce(resolver, 'maesh')).state, 'not-forwarded');
  rcode = 'SERVFAIL';
  assert.equal((await askOnce(resolver, 'maesh')).state, 'failed-behind');
});
