import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { ManualClock, type Clock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { seededRandom, type Random } from '../base/random.ts';
import {
  FakeApi,
  FakeApiError,
  pass,
  passUntil,
  settle,
  type FakeRequest,
} from '../kube/api/fake-api.fixture.ts';
import { LeaderElection } from './leader-election.ts';

const LEASE = '/apis/coordination.k8s.io/v1/namespaces/maesh/leases/maesh-controller';

/** One process: what it does with time and the network ends with it. */
class Candidate {
  readonly identity: string;
  readonly election: LeaderElection;
  /** Between `onStart` and the end of `onStop`. */
  isWorking = false;
  starts = 0;
  isDead = false;
  isCutOff = false;
  onStop: () => Promise<void> | void = () => undefined;

  constructor(
    identity: string,
    {
      api,
      clock,
      random,
      skewMs = 0,
    }: { api: FakeApi; clock: ManualClock; random: Random; skewMs?: number },
  ) {
    this.identity = identity;
    const own: Clock = {
      nowMs: () => clock.nowMs() + skewMs,
      wallMs: () => clock.wallMs() - skewMs * 1_000,
      after: (delayMs, run) => clock.after(delayMs, () => this.isDead || run()),
      every: (periodMs, run) => clock.every(periodMs, () => this.isDead || run()),
    };
    this.election = new LeaderElection({
      api: { request: (request) => this.#request(api, request) },
      namespace: 'maesh',
      name: 'maesh-controller',
      identity,
      clock: own,
      random,
      log: silentLog,
      onStart: () => {
        assert(!this.isWorking, 'starts once');
        this.isWorking = true;
        this.starts += 1;
      },
      onStop: async () => {
        assert(this.isWorking, 'stops what it started');
        await this.onStop();
        this.isWorking = false;
      },
    });
    this.election.start();
  }

  die(): void {
    this.isDead = true;
    this.isWorking = false;
  }

  async #request(api: FakeApi, request: FakeRequest): Promise<unknown> {
    this.#check();
    const answer = await api.request(request);
    this.#check();
    return answer;
  }

  #check(): void {
    if (this.isDead) throw new Error('The process is gone');
    if (this.isCutOff) throw new FakeApiError(503, 'ServiceUnavailable');
  }
}

function bed(): { api: FakeApi; clock: ManualClock; random: Random; holder: () => unknown } {
  const api = new FakeApi();
  const holder = (): unknown =>
    (api.get(LEASE)['spec'] as Record<string, unknown>)['holderIdentity'];
  return { api, clock: new ManualClock(), random: seededRandom(1), holder };
}

test('start() takes a Lease that nobody holds, and keeps it', async () => {
  const { api, clock, random, holder } = bed();
  const one = new Candidate('one', { api, clock, random });
  await settle();
  assert(one.election.isLeader);
  assert.equal(holder(), 'one');
  const two = new Candidate('two', { api, clock, random });
  await pass(clock, 120_000);
  assert(one.election.isLeader && one.starts === 1);
  assert(!two.election.isLeader && two.election.leader === 'one');
  const spec = api.get(LEASE)['spec'] as Record<string, unknown>;
  assert.equal(spec['leaseDurationSeconds'], 15);
  assert.match(String(spec['renewTime']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  await Promise.all([one.election.stop(), two.election.stop()]);
});

test('stop() waits for the work to end, gives the Lease back, and the next one has it in two seconds', async () => {
  const { api, clock, random, holder } = bed();
  const one = new Candidate('one', { api, clock, random });
  await settle();
  const two = new Candidate('two', { api, clock, random });
  await settle();
  let finish = (): void => undefined;
  one.onStop = () =>
    new Promise<void>((resolve) => {
      finish = resolve;
    });
  const stopped = one.election.stop();
  assert(!one.election.isLeader);
  await pass(clock, 3_000);
  assert.equal(holder(), 'one');
  finish();
  await stopped;
  assert.equal(holder(), '');
  await pass(clock, 2_400, 100);
  assert(two.election.isLeader);
  assert.equal((api.get(LEASE)['spec'] as Record<string, unknown>)['leaseTransitions'], 1);
  await two.election.stop();
});

test('a first write that is under way at the end leaves no Lease that someone holds', async () => {
  const { api, clock, random, holder } = bed();
  const arrived = Promise.withResolvers<void>();
  api.before = ({ method }) => (method === 'POST' ? arrived.promise : undefined);
  const one = new Candidate('one', { api, clock, random });
  await settle();
  const stopped = one.election.stop();
  await settle();
  arrived.resolve();
  await stopped;
  await settle();
  assert.equal(holder(), '');
  assert.equal(one.starts, 0);
});

test('a leader that dies is followed after 15 s, not before and not much later', async () => {
  const { api, clock, random } = bed();
  const one = new Candidate('one', { api, clock, random });
  await settle();
  const two = new Candidate('two', { api, clock, random });
  await settle();
  const renewedMs = clock.nowMs();
  one.die();
  await pass(clock, 14_900, 100);
  assert(!two.election.isLeader);
  await passUntil(clock, () => two.election.isLeader, { stepMs: 50, steps: 1_000 });
  assert(clock.nowMs() - renewedMs <= 15_500);
  await two.election.stop();
});

test('a leader that cannot renew stops after 10 s, before anyone else may lead, and leads again later', async () => {
  const { api, clock, random } = bed();
  const one = new Candidate('one', { api, clock, random });
  await pass(clock, 10_000);
  const two = new Candidate('two', { api, clock, random });
  await settle();
  one.isCutOff = true;
  const cutMs = clock.nowMs();
  await passUntil(clock, () => !one.election.isLeader, { stepMs: 100 });
  assert(clock.nowMs() - cutMs <= 10_000);
  await settle();
  assert(!one.isWorking);
  assert(!two.election.isLeader);
  await passUntil(clock, () => two.election.isLeader, { stepMs: 100 });
  one.isCutOff = false;
  await two.election.stop();
  await passUntil(clock, () => one.election.isLeader, { stepMs: 100 });
  assert.equal(one.starts, 2);
  await one.election.stop();
});

test('a renewal whose answer is lost costs no leadership, nor does a label that someone adds', async () => {
  const { api, clock, random } = bed();
  const one = new Candidate('one', { api, clock, random });
  await settle();
  let lost = 0;
  api.after = ({ method }) => {
    if (method === 'PUT' && lost++ === 0) throw new Error('connection reset');
  };
  await pass(clock, 20_000, 100);
  assert(lost > 1);
  const lease = api.get(LEASE);
  api.set(LEASE, { ...lease, metadata: { ...lease.metadata, labels: { mine: 'kept' } } });
  await pass(clock, 20_000, 100);
  assert.equal(one.starts, 1);
  assert(one.election.isLeader);
  assert.deepEqual(api.get(LEASE).metadata['labels'], { mine: 'kept' });
  await one.election.stop();
});

test('a leader whose Lease was given to somebody else by hand stops at its next renewal', async () => {
  const { api, clock, random } = bed();
  const one = new Candidate('one', { api, clock, random });
  await settle();
  const lease = api.get(LEASE);
  api.set(LEASE, { ...lease, spec: { ...(lease['spec'] as object), holderIdentity: 'someone' } });
  await pass(clock, 2_500, 100);
  assert(!one.election.isLeader && !one.isWorking);
  assert.equal(one.election.leader, 'someone');
  await passUntil(clock, () => one.election.isLeader, { stepMs: 100 });
  await one.election.stop();
});

test('a Lease that was deleted is made again by its leader', async () => {
  const { api, clock, random, holder } = bed();
  const one = new Candidate('one', { api, clock, random });
  await settle();
  api.objects.delete(LEASE);
  await pass(clock, 2_600, 100);
  assert(one.election.isLeader && one.starts === 1);
  assert.equal(holder(), 'one');
  await one.election.stop();
});

test('a process that was frozen does not take itself for the leader when it wakes up', async () => {
  const { api, clock, random } = bed();
  const one = new Candidate('one', { api, clock, random });
  await settle();
  const frozen = new ManualClock(clock.nowMs() + 10_001);
  assert(one.election.isLeader);
  // No timer of the election runs: only what `isLeader` reads has moved on.
  const nowMs = clock.nowMs.bind(clock);
  clock.nowMs = () => frozen.nowMs();
  assert(!one.election.isLeader);
  clock.nowMs = nowMs;
  await one.election.stop();
});

test('a term counts from when its renewal was sent, not from when the answer came', async () => {
  const { api, clock, random } = bed();
  const one = new Candidate('one', { api, clock, random });
  await settle();
  let sentMs = 0;
  api.after = async () => {
    one.isCutOff = true;
    sentMs = clock.nowMs();
    await new Promise<void>((resolve) => clock.after(3_000, resolve));
    one.isCutOff = false;
    api.after = () => undefined;
    api.before = () => {
      throw new FakeApiError(503, 'ServiceUnavailable');
    };
  };
  await passUntil(clock, () => sentMs > 0 && !one.election.isLeader, { stepMs: 100 });
  assert(clock.nowMs() - sentMs <= 10_100);
  await one.election.stop();
});

test('a new term begins only when the work of the last one has ended', async () => {
  const { api, clock, random, holder } = bed();
  const one = new Candidate('one', { api, clock, random });
  await settle();
  let finish = (): void => undefined;
  one.onStop = () =>
    new Promise<void>((resolve) => {
      finish = resolve;
    });
  one.isCutOff = true;
  await passUntil(clock, () => !one.election.isLeader, { stepMs: 100 });
  one.isCutOff = false;
  await pass(clock, 5_000, 100);
  assert.equal(holder(), 'one');
  assert(!one.election.isLeader && one.starts === 1);
  finish();
  await passUntil(clock, () => one.election.isLeader, { stepMs: 100 });
  assert.equal(one.starts, 2);
  one.onStop = () => undefined;
  await one.election.stop();
});

test('an error in onStart or onStop is not the end: it is tried again', async () => {
  const { api, clock, random } = bed();
  let starts = 0;
  const election = new LeaderElection({
    api,
    namespace: 'maesh',
    name: 'maesh-controller',
    identity: 'one',
    clock,
    random,
    log: silentLog,
    onStart: () => {
      starts += 1;
      if (starts === 1) throw new Error('cannot start');
    },
    onStop: () => {
      throw new Error('cannot stop');
    },
  });
  election.start();
  await settle();
  assert(!election.isLeader);
  await pass(clock, 3_000, 100);
  assert(election.isLeader);
  assert.equal(starts, 2);
  await election.stop();
  assert(!election.isLeader);
});

type Fault =
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'cut' | 'die' | 'stop' | 'touch'; readonly who: number }
  | { readonly kind: 'heal' | 'outage' };

const who = fc.integer({ min: 0, max: 2 });
const fault: fc.Arbitrary<Fault> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.integer({ min: 100, max: 20_000 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('cut' as const, 'die' as const, 'stop' as const, 'touch' as const),
      who,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('heal' as const, 'outage' as const) }),
  },
);

test('there are never two leaders at once, and always one in the end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { maxLength: 20 }), fc.integer(), async (faults, seed) => {
      const { api, clock, random: _ } = bed();
      const random = seededRandom(seed);
      let isOut = false;
      let isCalm = false;
      const trouble = async (): Promise<void> => {
        if (isOut) throw new FakeApiError(500, 'InternalError');
        if (isCalm) return;
        if (random.next() < 0.1) throw new Error('connection reset');
        if (random.next() < 0.5) {
          const delayMs = random.next() ** 4 * 8_000;
          await new Promise<void>((resolve) => clock.after(delayMs, resolve));
        }
      };
      api.before = trouble;
      api.after = trouble;
      let made = 0;
      const create = (): Candidate =>
        new Candidate(`c${made++}`, { api, clock, random, skewMs: random.next() * 1e6 });
      const candidates = [create(), create(), create()];
      const everyone = [...candidates];
      const step = async (ms: number): Promise<void> => {
        for (let left = ms; left > 0; left -= 250) {
          clock.advance(Math.min(250, left));
          await settle(4);
          const leaders = everyone.filter(({ isDead, election }) => !isDead && election.isLeader);
          const working = everyone.filter(({ isWorking }) => isWorking);
          assert(leaders.length <= 1, `${leaders.map(({ identity }) => identity).join()} lead`);
          assert(working.length <= 1, `${working.map(({ identity }) => identity).join()} work`);
        }
      };
      for (const each of faults) {
        if (each.kind === 'wait') await step(each.ms);
        if (each.kind === 'outage') isOut = true;
        if (each.kind === 'heal') {
          isOut = false;
          for (const candidate of candidates) candidate.isCutOff = false;
        }
        if (!('who' in each)) continue;
        const candidate = candidates[each.who]!;
        if (each.kind === 'cut') candidate.isCutOff = true;
        if (each.kind === 'die') candidate.die();
        if (each.kind === 'stop') void candidate.election.stop();
        if (each.kind === 'die' || each.kind === 'stop') {
          candidates[each.who] = create();
          everyone.push(candidates[each.who]!);
        }
        if (each.kind === 'touch' && api.objects.has(LEASE)) api.set(LEASE, api.get(LEASE));
      }
      isOut = false;
      isCalm = true;
      for (const candidate of candidates) candidate.isCutOff = false;
      await step(40_000);
      assert.equal(candidates.filter(({ election }) => election.isLeader).length, 1);
      await Promise.all(candidates.map(({ election }) => election.stop()));
    }),
    { numRuns: 60 },
  );
});
