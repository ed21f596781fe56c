import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { ManualClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { seededRandom } from '../base/random.ts';
import { printableLines } from '../base/printable.ts';
import type { Problem } from '../model/service.ts';
import { FakeApi, FakeApiError, pass, settle } from '../kube/api/fake-api.fixture.ts';
import { readSeen, type Regarding } from './event.ts';
import { EventRecorder } from './event-recorder.ts';
import {
  aboutKey,
  aboutObject,
  aboutText,
  type ObjectReference,
} from '../model/object-reference.ts';

const MINUTE_MS = 60_000;
const EVENTS = '/apis/events.k8s.io/v1/namespaces/shop/events';
const FIELD = 'metadata.annotations["maesh.dev/retry-attempts"]';

function problem(change: Partial<Problem> = {}): Problem {
  return {
    severity: 'error',
    ...aboutObject('Service', 'shop', 'web'),
    field: FIELD,
    value: 'many',
    message: 'value must be a whole number',
    remedy: 'write 3',
    location: '',
    ...change,
  };
}

function lookup(ref: ObjectReference): Regarding | null {
  return { ...ref, uid: `uid-of-${ref.name}` };
}

interface Bed {
  readonly api: FakeApi;
  readonly clock: ManualClock;
  readonly recorder: EventRecorder;
  /** `Warning InvalidAnnotation 2`: type, reason and count of each Event. */
  readonly told: () => string[];
}

function bed(look: typeof lookup = lookup, api = new FakeApi(), clock = new ManualClock()): Bed {
  const recorder = new EventRecorder({
    api,
    identity: 'maesh-controller-0',
    clock,
    random: seededRandom(1),
    log: silentLog,
    lookup: look,
  });
  const told = (): string[] =>
    [...api.objects.values()].map((event) => {
      const series = (event['series'] ?? { count: event['count'] ?? 1 }) as { count: number };
      return `${String(event['type'])} ${String(event['reason'])} ${series.count}`;
    });
  return { api, clock, recorder, told };
}

/** Lets timers of 0 ms and what they begin run. */
async function turn(clock: ManualClock): Promise<void> {
  clock.advance(0);
  await settle(100);
}

test('a problem becomes an Event on its object that says what to do', async () => {
  const { api, clock, recorder } = bed();
  recorder.sync([problem()]);
  await turn(clock);
  assert.deepEqual(api.writes(), [], 'nothing before this replica leads');
  recorder.start();
  await turn(clock);
  assert.deepEqual(api.writes(), [`POST ${EVENTS}`]);
  const [event] = api.objects.values();
  const { metadata, eventTime, ...rest } = event!;
  assert.match(String(metadata['name']), /^web\.[0-9a-f]{16}$/);
  assert.match(String(eventTime), /\.\d{6}Z$/);
  assert.deepEqual(rest, {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    regarding: {
      apiVersion: 'v1',
      kind: 'Service',
      namespace: 'shop',
      name: 'web',
      uid: 'uid-of-web',
    },
    type: 'Warning',
    reason: 'InvalidAnnotation',
    note: `${FIELD} "many": value must be a whole number; write 3`,
    action: 'Compile',
    reportingController: 'maesh.dev/controller',
    reportingInstance: 'maesh-controller-0',
  });
  await recorder.stop();
});

test('a problem that stays is one Event that counts, twice an hour', async () => {
  const { api, clock, recorder, told } = bed();
  recorder.start();
  for (let minute = 0; minute < 29; minute++) {
    recorder.sync([problem(), problem({ location: 'x:1:1' })]);
    await pass(clock, MINUTE_MS, MINUTE_MS);
  }
  assert.equal(api.writes().length, 1);
  await pass(clock, 71 * MINUTE_MS, MINUTE_MS);
  assert.deepEqual(told(), ['Warning InvalidAnnotation 4']);
  await recorder.stop();
});

test('a problem that goes is resolved once, and one that comes and goes is not told again within ten minutes', async () => {
  const { api, clock, recorder, told } = bed();
  recorder.start();
  for (let second = 0; second < 300; second++) {
    recorder.sync(second % 2 === 0 ? [problem()] : []);
    await pass(clock, 1_000);
  }
  assert.deepEqual(told(), ['Warning InvalidAnnotation 1', 'Normal Resolved 1']);
  recorder.sync([problem()]);
  await pass(clock, 10 * MINUTE_MS, 10_000);
  assert.deepEqual(told(), ['Warning InvalidAnnotation 2', 'Normal Resolved 1']);
  assert.equal(api.writes().length, 3);
  recorder.sync([]);
  await pass(clock, 1_000);
  assert.deepEqual(told(), ['Warning InvalidAnnotation 2', 'Normal Resolved 2']);
  const { length } = api.writes();
  await pass(clock, 60 * MINUTE_MS, MINUTE_MS);
  assert.equal(api.writes().length, length);
  await recorder.stop();
});

test('a field that is wrong in another way now is not called resolved', async () => {
  const { clock, recorder, told } = bed();
  recorder.start();
  recorder.sync([problem()]);
  await turn(clock);
  recorder.sync([problem({ value: 'lots' })]);
  await turn(clock);
  assert.deepEqual(told(), ['Warning InvalidAnnotation 1', 'Warning InvalidAnnotation 1']);
  recorder.sync([]);
  await pass(clock, 1_000);
  assert.equal(told().filter((text) => text.startsWith('Normal')).length, 1);
  await recorder.stop();
});

test('the next leader does not tell again what is told, and counts on', async () => {
  const first = bed();
  const { api, clock } = first;
  first.recorder.start();
  first.recorder.sync([problem()]);
  await turn(clock);
  await first.recorder.stop();
  const second = bed(lookup, api, clock);
  second.recorder.start();
  second.recorder.sync([problem()]);
  await turn(clock);
  assert.deepEqual(second.told(), ['Warning InvalidAnnotation 1']);
  await pass(clock, 31 * MINUTE_MS, MINUTE_MS);
  assert.deepEqual(second.told(), ['Warning InvalidAnnotation 2']);
  await second.recorder.stop();
  const third = bed(lookup, api, clock);
  await pass(clock, 11 * MINUTE_MS, MINUTE_MS);
  third.recorder.start();
  third.recorder.sync([problem()]);
  await turn(clock);
  assert.deepEqual(third.told(), ['Warning InvalidAnnotation 3']);
  await third.recorder.stop();
});

test('an Event that the API server forgot is made anew', async () => {
  const { api, clock, recorder, told } = bed();
  recorder.start();
  recorder.sync([problem()]);
  await turn(clock);
  api.objects.clear();
  await pass(clock, 31 * MINUTE_MS, MINUTE_MS);
  assert.deepEqual(told(), ['Warning InvalidAnnotation 1']);
  await recorder.stop();
});

test('an API server without events.k8s.io gets core Events', async () => {
  const { api, clock, recorder, told } = bed();
  api.before = ({ path }) => {
    if (path.startsWith('/apis/')) throw new FakeApiError(404, 'NotFound');
  };
  recorder.start();
  recorder.sync([problem()]);
  await turn(clock);
  const [path, event] = [...api.objects][0]!;
  assert.match(path, /^\/api\/v1\/namespaces\/shop\/events\/web\./);
  assert.equal((event['involvedObject'] as Regarding).uid, 'uid-of-web');
  assert.equal(event['message'], `${FIELD} "many": value must be a whole number; write 3`);
  await pass(clock, 31 * MINUTE_MS, MINUTE_MS);
  assert.deepEqual(told(), ['Warning InvalidAnnotation 2']);
  await recorder.stop();
});

test('a namespace that is gone costs its own Event only', async () => {
  const { api, clock, recorder } = bed();
  api.before = ({ path }) => {
    if (path.includes('/namespaces/gone/')) throw new FakeApiError(404, 'NotFound');
  };
  api.set('/apis/events.k8s.io/v1', { kind: 'APIResourceList' });
  recorder.start();
  recorder.sync([
    problem({ ...aboutKey('Service', 'gone/web') }),
    problem(),
    problem({ field: 'other' }),
  ]);
  await turn(clock);
  assert.equal([...api.objects.keys()].filter((path) => path.startsWith(EVENTS)).length, 2);
  const failed = (): number => api.writes().filter((write) => write.includes('/gone/')).length;
  assert.equal(failed(), 1);
  await pass(clock, 9 * MINUTE_MS, MINUTE_MS);
  assert.equal(failed(), 1);
  await recorder.stop();
});

test('writes are at most 25 at once and five a second after that', async () => {
  const { api, clock, recorder } = bed();
  recorder.start();
  recorder.sync(
    Array.from({ length: 100 }, (_, i) => problem({ ...aboutKey('Service', `shop/web-${i}`) })),
  );
  await turn(clock);
  assert.equal(api.writes().length, 25);
  await pass(clock, 10_000, 100);
  assert(api.writes().length >= 73 && api.writes().length <= 75, String(api.writes().length));
  await pass(clock, 10_000, 100);
  assert.equal(api.writes().length, 100);
  await recorder.stop();
});

test('an object with a thousand problems takes ten Events, and the others have theirs', async () => {
  const { api, clock, recorder } = bed();
  recorder.start();
  const many = Array.from({ length: 1_000 }, (_, i) => problem({ field: `field-${i}` }));
  recorder.sync([...many, problem({ ...aboutKey('Service', 'shop/other') })]);
  await pass(clock, 1_000, 100);
  assert.equal(api.writes().length, 11);
  recorder.sync([...many.slice(9), problem({ ...aboutKey('Service', 'shop/other') })]);
  await pass(clock, 60_000, 1_000);
  const notes = [...api.objects.values()].map((event) => String(event['note']));
  assert.equal(notes.filter((note) => note.startsWith('Fixed: ')).length, 9);
  assert.ok(notes.some((note) => note.startsWith('field-10 ')));
  await recorder.stop();
});

/** Of a namespace whose Services are all wrong. */
function wrong(namespace: string, count: number, message = 'wrong'): Problem[] {
  return Array.from({ length: count }, (_, i) =>
    problem({ ...aboutObject('Service', namespace, `s-${i}`), message }),
  );
}

test('a namespace with thousands of problems leaves the others their places, and their turn', async () => {
  const { api, clock, recorder } = bed();
  const eventsOf = (namespace: string): number =>
    api.writes().filter((write) => write.includes(`/namespaces/${namespace}/`)).length;
  recorder.start();
  recorder.sync(wrong('big', 3_000));
  await pass(clock, 10 * MINUTE_MS, 5_000);
  assert.equal(eventsOf('big'), 2_000);
  recorder.sync([...wrong('big', 3_000), ...wrong('small', 30), ...wrong('shop', 1)]);
  await pass(clock, 10_000, 1_000);
  assert.deepEqual([eventsOf('small'), eventsOf('shop')], [30, 1]);
  await recorder.stop();
});

test('a namespace whose problems change all the time does not keep the others from being resolved', async () => {
  const { api, clock, recorder } = bed();
  recorder.start();
  recorder.sync([problem()]);
  await turn(clock);
  for (let second = 0; second < 10; second++) {
    recorder.sync(wrong('big', 100, `wrong ${second}`));
    await pass(clock, 1_000, 1_000);
  }
  const notes = [...api.objects.values()].map((event) => String(event['note']));
  assert.ok(notes.some((note) => note.startsWith('Fixed: ') && note.includes(FIELD)));
  await recorder.stop();
});

test('an API server that is away is tried again with a back-off, and nothing is lost', async () => {
  const { api, clock, recorder, told } = bed();
  api.before = () => {
    throw new FakeApiError(503, 'ServiceUnavailable');
  };
  recorder.start();
  recorder.sync([problem()]);
  await pass(clock, 5_000, 100);
  assert(api.writes().length >= 2 && api.writes().length <= 4);
  api.before = () => undefined;
  await pass(clock, 20_000, 100);
  assert.deepEqual(told(), ['Warning InvalidAnnotation 1']);
  await recorder.stop();
});

test('the API server is left alone for as long as it asks', async () => {
  const { api, clock, recorder } = bed();
  api.before = () => {
    throw new FakeApiError(429, 'TooManyRequests', 30_000);
  };
  recorder.start();
  recorder.sync([problem()]);
  await pass(clock, 29_000);
  assert.equal(api.writes().length, 1);
  await pass(clock, 2_000);
  assert.equal(api.writes().length, 2);
  await recorder.stop();
});

test('problems beyond the bound are left out while there is no room, and those of no object', async () => {
  const looked = new Set<string>();
  const { clock, recorder, api } = bed((ref) => {
    looked.add(ref.name);
    return null;
  });
  const problems = Array.from({ length: 2_005 }, (_, i) =>
    problem(aboutKey('Service', `gone/${i}`)),
  );
  recorder.start();
  recorder.sync(problems);
  await pass(clock, 9 * MINUTE_MS, 5_000);
  assert.equal(looked.size, 2_000);
  recorder.sync(problems.slice(5));
  await pass(clock, MINUTE_MS, 1_000);
  assert.equal(looked.size, 2_005);
  recorder.sync([problem(aboutText('a.yaml'))]);
  await pass(clock, MINUTE_MS, 1_000);
  assert.deepEqual(api.writes(), []);
  await recorder.stop();
});

test('nothing in a note steers a terminal', async () => {
  const { api, clock, recorder } = bed();
  recorder.start();
  recorder.sync([problem({ value: '\u001b[2J\nok', message: 'wrong\n\u202ehere' })]);
  await turn(clock);
  const [event] = api.objects.values();
  assert.equal(event!['note'], `${FIELD} "\\u001b[2J\\nok": wrong\n\\u202ehere; write 3`);
  await recorder.stop();
});

test('a note is cut at 1024 bytes, between characters', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 2_000 }), async (text) => {
      const message = `x${text}`;
      const { api, clock, recorder } = bed();
      recorder.start();
      recorder.sync([problem({ message, remedy: message })]);
      await turn(clock);
      const [event] = api.objects.values();
      const note = String(event!['note']);
      const shown = printableLines(message);
      const whole = `${FIELD} "many": ${shown}; ${shown}`;
      assert(Buffer.byteLength(note) <= 1_024);
      if (note !== whole) {
        assert(note.endsWith('…') && whole.startsWith(note.slice(0, -1)));
        assert(Buffer.byteLength(note) > 1_016);
      }
      await recorder.stop();
    }),
    { numRuns: 50 },
  );
});

test('a problem that comes back is told again when the answer to "it is over" was lost', async () => {
  const { api, clock, recorder, told } = bed();
  recorder.start();
  recorder.sync([problem()]);
  await pass(clock, 1, 1);
  api.after = () => {
    throw new Error('reset');
  };
  recorder.sync([]);
  await pass(clock, 1, 1);
  assert.deepEqual(told(), ['Warning InvalidAnnotation 1', 'Normal Resolved 1']);
  api.after = () => undefined;
  recorder.sync([problem()]);
  await pass(clock, 11 * MINUTE_MS, 10_000);
  assert.deepEqual(told(), ['Warning InvalidAnnotation 2', 'Normal Resolved 1']);
  await recorder.stop();
});

test('whatever comes and goes, in the end each problem that is there is told, and none twice', async () => {
  const round = fc.record({
    wrong: fc.uniqueArray(fc.integer({ min: 0, max: 4 })),
    waitMs: fc.integer({ min: 0, max: 20 * MINUTE_MS }),
    fault: fc.constantFrom('none', 'none', 'away', 'lost'),
    restart: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(round, { maxLength: 12 }), async (rounds) => {
      const { api, clock, recorder } = bed();
      const starts = [...rounds, { wrong: [1, 3], waitMs: 0, fault: 'none', restart: false }];
      recorder.start();
      for (const { wrong, waitMs, fault, restart } of starts) {
        const fail = (): void => {
          throw fault === 'away' ? new FakeApiError(503, 'Unavailable') : new Error('reset');
        };
        api.before = fault === 'away' ? fail : () => undefined;
        api.after = fault === 'lost' ? fail : () => undefined;
        recorder.sync(wrong.map((i) => problem({ field: `spec.ports[${i}]` })));
        await pass(clock, waitMs, 20_000);
        if (restart) {
          await recorder.stop();
          recorder.start();
        }
      }
      await pass(clock, 25 * MINUTE_MS, 10_000);
      for (const i of [1, 3]) {
        const told = [...api.objects.values()].filter((event) =>
          String(event['note']).includes(`[${i}]`),
        );
        const warnings = told.filter((event) => event['type'] === 'Warning');
        assert.equal(warnings.length, 1);
        assert.equal(warnings[0]!['reason'], 'PortNotServed');
        const warnedMs = readSeen(warnings[0]).atMs;
        assert(
          told.every((event) => readSeen(event).atMs <= warnedMs),
          'that it is over came last',
        );
      }
      await recorder.stop();
    }),
    { numRuns: 40 },
  );
});
