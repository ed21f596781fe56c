/** A Service may want thousands of ports. What that costs grows with their number, and not with its square: the controller has others to serve. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Service } from '../model/service.ts';
import { exampleService } from '../../test/support/model.ts';
import { decide, SERVICE_PORTS_MAX } from './decide.ts';
import type { Situation, WantedPort } from './decide.ts';
import { PortPool } from './ports.ts';
import { starvedProblem } from './problems.ts';
import type { Claim } from './ports.ts';
import type { Allocation, ShadowPort } from './shadow.ts';
import { requirementsOf, wantedPorts } from './wanted.ts';

const PORTS = 2_000;
/** Looks at one port. With one look for each other port it would be hundreds. */
const LOOKS_MAX = 20;

/** The same with its number behind a getter that counts. */
function counted<T extends { readonly port: number }>(
  items: readonly T[],
): { items: T[]; looks: () => number } {
  let looks = 0;
  const copies = items.map((item) =>
    Object.defineProperty({ ...item }, 'port', {
      enumerable: true,
      get: () => {
        looks += 1;
        return item.port;
      },
    }),
  );
  return { items: copies, looks: () => looks };
}

function wanted(count: number): WantedPort[] {
  return Array.from({ length: count }, (_, i) => ({ name: '', port: 1_000 + i, protocol: 'TCP' }));
}

function shadowPorts(count: number): ShadowPort[] {
  return wanted(count).map((port, i) => ({ ...port, proxyPort: 10_000 + i }));
}

function recordOf(more: Partial<Allocation>): Allocation {
  return {
    service: 'greedy/s',
    state: 'published',
    retiredAt: '',
    ports: [],
    announcedPorts: [],
    retiredPorts: [],
    ...more,
  };
}

test('wantedPorts() asks what a Service needs once, and looks at each port a few times', () => {
  const ports = Array.from({ length: PORTS }, (_, i) => 1_000 + i);
  const service: Service = exampleService('greedy/s', { ports });
  let asked = 0;
  const requirements: typeof requirementsOf = (each) => {
    asked += 1;
    return requirementsOf(each);
  };
  const had = counted(shadowPorts(SERVICE_PORTS_MAX));
  const found = wantedPorts(service, recordOf({ ports: had.items }), {
    requirements,
    missing: () => [],
  });
  assert.equal(found.wanted.length, PORTS);
  assert.equal(asked, 1);
  assert.ok(had.looks() <= SERVICE_PORTS_MAX * LOOKS_MAX, `${had.looks()} looks`);
});

test('decide() looks at each wanted port and at each of its record a few times', () => {
  const had = counted(shadowPorts(SERVICE_PORTS_MAX));
  const retired = counted(
    shadowPorts(150).map((port) => ({
      ...port,
      proxyPort: port.proxyPort + 1_000,
      retiredAt: 't',
    })),
  );
  const want = counted(wanted(PORTS));
  const situation: Situation = {
    record: recordOf({ ports: had.items, retiredPorts: retired.items }),
    service: 'greedy/s',
    wanted: want.items,
    isServed: true,
    now: 't',
    isOver: () => false,
    holds: () => true,
    owns: () => true,
    choose: () => 'namespace',
  };
  for (const holds of [() => true, () => false]) {
    const { starved } = decide({ ...situation, holds });
    assert.equal(starved.length, PORTS - (holds() ? SERVICE_PORTS_MAX : 0));
  }
  const looks = want.looks() + had.looks() + retired.looks();
  assert.ok(looks <= 2 * (PORTS + SERVICE_PORTS_MAX + 150) * LOOKS_MAX, `${looks} looks`);
});

test('decide() asks for a proxy port no more once the share of the namespace is used up', () => {
  let asked = 0;
  const { starved } = decide({
    record: null,
    service: 'greedy/s',
    wanted: wanted(PORTS),
    isServed: false,
    now: 't',
    isOver: () => false,
    holds: () => true,
    owns: () => true,
    choose: () => {
      asked += 1;
      return asked <= 10 ? 10_000 + asked : 'namespace';
    },
  });
  assert.deepEqual([asked, starved.length], [11, PORTS - 10]);
  assert.ok(starved.every(({ want }) => want === 'namespace'));
});

test("a port that has to move stays where it is as long as there is none for it, unless that is another Service's", () => {
  const [moves = null, stays = null, lost = null] = shadowPorts(3);
  assert(moves !== null && stays !== null && lost !== null);
  const { allocation, starved } = decide({
    record: recordOf({ ports: [moves, stays, lost] }),
    service: 'shop/web',
    wanted: wanted(3),
    isServed: true,
    now: 't',
    isOver: () => false,
    holds: ({ port }) => port === stays.port,
    owns: ({ port }) => port !== lost.port,
    choose: () => 'range',
  });
  assert.deepEqual(
    starved.map(({ port }) => port),
    [moves.port, lost.port],
  );
  assert.deepEqual(
    allocation?.ports.map(({ proxyPort }) => proxyPort),
    [moves.proxyPort, stays.proxyPort],
  );
  assert.deepEqual(
    allocation?.retiredPorts.map(({ proxyPort }) => proxyPort),
    [lost.proxyPort],
  );
});

test('choose() finds what only a port itself still claims where no other is free, and nothing else', () => {
  const pool = new PortPool({ from: 10, to: 12 });
  const claim = (port: string, proxyPort: number): Claim => ({
    owner: 'a',
    port,
    proxyPort,
    rank: 'leaving',
    createdAt: '2026',
  });
  pool.assign('a', 'n', [claim('80/TCP', 10), claim('81/TCP', 11), claim('82/TCP', 12)]);
  const choose = (port: string, taken: readonly number[] = []): unknown =>
    pool.choose({ owner: 'a', namespace: 'n', port }, new Set(taken));
  assert.equal(choose('81/TCP'), 11);
  assert.equal(choose('81/TCP', [11]), 'range');
  assert.equal(choose('83/TCP'), 'range');
});

test('the Problem of ports without a proxy port names them as ranges, and says once what is wrong', () => {
  const subject = { service: 'greedy/s', name: 'shadow-1', namespace: 'maesh' };
  const problem = (...ports: readonly number[]): { value: string; message: string } =>
    starvedProblem(
      subject,
      ports.map((port) => ({ name: '', port, protocol: 'TCP', want: 'service' })),
      { from: 10, to: 12 },
    );
  assert.equal(problem(82, 80, 81, 443, 9_000, 9_001).value, '80-82, 443, 9000-9001');
  assert.equal(
    problem(...Array.from({ length: 12 }, (_, i) => i * 2 + 1)).value,
    '1, 3, 5, 7, 9, 11, 13, 15, 17, 19 and 2 more',
  );
  const why = 'no proxy port: a Service gets at most 256 proxy ports';
  assert.equal(problem(80).message, `1 port gets ${why}`);
  assert.equal(problem(80, 81).message, `2 ports get ${why}`);
});
