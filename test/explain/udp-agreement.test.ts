/** What explain says of a datagram of UDP is what the mesh then does, over random meshes. */

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { dial } from '../../src/explain/dial.ts';
import { explain } from '../../src/explain/explain.ts';
import type { EndpointFacts, Explanation } from '../../src/explain/explanation.ts';
import { atEnd, eventually } from '../support/wire.ts';
import { changedObjects, type Manifest, randomObjects } from './support/config.ts';
import { Dice } from './support/dice.ts';
import { disturb } from './support/disturb.ts';
import { Endpoints } from './support/endpoints.ts';
import { CALLERS, ENDPOINTS } from './support/ground.ts';
import { DOMAINS, LiveMesh } from './support/live-mesh.ts';
import { OddsSum } from './support/odds-sum.ts';
import { LIMITS } from './support/request.ts';

const SEED = Number(process.env['EXPLAIN_SEED'] ?? 1);
const MESHES = 30;
const DATAGRAMS = 16;

/** As a mesh has them that speaks UDP, with a port of TCP on the same number. */
function spokenInUdp(objects: readonly Manifest[]): readonly Manifest[] {
  return objects.map((object) => {
    if (object.kind !== 'Service') return object;
    const spec = object['spec'] as { ports: readonly { name: string }[] };
    const [first] = spec.ports;
    // It is from before.
    if (first?.name === 'twin') return object;
    const ports = spec.ports.map((port) => ({ ...port, protocol: 'UDP' }));
    // TCP beside it, on the same number.
    const twin = first === undefined ? [] : [{ ...first, name: 'twin' }];
    return { ...object, spec: { ...spec, ports: [...twin, ...ports] } };
  });
}

/** What the mesh did with a datagram. */
interface Seen {
  readonly failure: string;
  readonly tried: readonly string[];
}

interface Leg {
  readonly key: string;
  readonly facts: EndpointFacts;
}

function legsOf(said: Explanation): readonly Leg[] {
  return said.backends.flatMap(({ id, odds, endpoints }) =>
    odds === 0
      ? []
      : endpoints.map((facts) => ({ key: `${id} ${facts.address}:${facts.port}`, facts })),
  );
}

/** What does not fit, as a sentence; null when everything does. */
function disagreement(said: Explanation, { failure, tried }: Seen): string | null {
  const legs = legsOf(said);
  // A session that is silent may make room: then nobody knows where.
  const isCrowded = said.forwarded && legs.every(({ facts }) => facts.odds === 0);
  const [key] = tried;
  if (key !== undefined) {
    if (!said.forwarded) return `${key} was tried, explain says that it is dropped`;
    if (isCrowded) return null;
    const leg = legs.find((each) => each.key === key);
    if (leg === undefined || leg.facts.odds === 0) return `explain gives ${key} no odds`;
    return null;
  }
  if (failure === 'overloaded')
    return said.phases.some(({ name, state }) => name === 'service' && state === 'maybe')
      ? null
      : 'it was overloaded, explain says that there is room';
  if (isCrowded && failure === 'no_healthy_endpoint') return null;
  const fits = said.outcomes.some(
    (each) => each.kind === 'dropped' && each.reason === failure && each.share > 0,
  );
  return fits ? null : `it was dropped by ${failure}, explain has no such outcome`;
}

/** An explanation that must not fit for long. */
function wrong(said: Explanation): Explanation {
  const backends = said.backends.map((backend) => {
    const [first, ...others] = backend.endpoints;
    const odds = [...others, first].map((each) => each?.odds ?? 0);
    const endpoints = backend.endpoints.map((each, i) => ({ ...each, odds: odds[i] ?? 0 }));
    return { ...backend, endpoints };
  });
  return { ...said, backends, outcomes: [] };
}

async function listen(t: TestContext, port: number): Promise<void> {
  for (const address of ENDPOINTS) {
    const socket = createSocket('udp4');
    socket.on('message', (data, from) => socket.send(data, from.port, from.address));
    socket.bind(port, address);
    // oxlint-disable-next-line no-await-in-loop -- ten of them
    await once(socket, 'listening');
    atEnd(t, () => void socket.close());
  }
}

/** Sends one as a caller that nobody knows yet, and waits for what comes of it. */
async function send(live: LiveMesh, key: string, from: string, port: number): Promise<Seen> {
  const failures = live.failures(key);
  const tries = live.tries();
  const failed = (): string =>
    [...live.failures(key)].find(([reason, n]) => n > (failures.get(reason) ?? 0))?.[0] ?? '';
  const tried = (): readonly string[] =>
    [...live.tries()].filter(([id, n]) => n > (tries.get(id) ?? 0)).map(([id]) => id);
  const socket = createSocket('udp4');
  socket.on('error', () => undefined);
  socket.bind(0, from);
  await once(socket, 'listening');
  const address = live.dry.services.get(key)?.address ?? '';
  socket.send('x', port, address);
  await eventually(() => tried().length > 0 || failed() !== '', 'what comes of a datagram');
  socket.close();
  return { failure: failed(), tried: tried() };
}

describe('explain and the mesh, of UDP', () => {
  test('agree on every datagram', async (t) => {
    const endpoints = await Endpoints.listen(ENDPOINTS);
    atEnd(t, () => endpoints.close());
    await listen(t, endpoints.port);
    const odds = new OddsSum();
    const faults: string[] = [];
    const occurred = new Set<string>();
    let noticed = 0;
    for (let mesh = 0; mesh < MESHES; mesh++) {
      const seed = SEED * 1_000_000 + mesh;
      const dice = new Dice(seed);
      const live = new LiveMesh(seed, endpoints);
      atEnd(t, () => live.stop());
      let objects = spokenInUdp(randomObjects(dice, endpoints.port));
      // oxlint-disable no-await-in-loop -- one datagram after the other
      await live.apply(objects);
      for (let i = 0; i < DATAGRAMS; i++) {
        if (i === DATAGRAMS / 2) {
          objects = spokenInUdp(changedObjects(dice, objects, endpoints.port));
          await live.apply(objects);
        }
        if (dice.chance(0.5)) disturb(dice, live);
        live.clock.advance(dice.pick([12, 60, 400, 3_000]));
        await live.checked();
        const services = [...live.dry.services.values()];
        if (services.length === 0) continue;

        const service = dice.pick(services);
        const port = dice.pick(service.ports.filter(({ protocol }) => protocol === 'udp')).port;
        const { key, name, namespace } = service;
        const source = dice.pick(CALLERS);
        const place = { host: `${name}.${namespace}.maesh`, port, plain: true, udp: true };
        const before = live.memory();
        const said = explain({
          mesh: live.dry,
          dial: dial(place, { services: live.dry.services, domains: DOMAINS }),
          url: `udp://${place.host}:${port}`,
          source,
          bytes: Buffer.alloc(0),
          limits: LIMITS,
        });
        assert.deepEqual(live.memory(), before, 'asking changed something');
        assert.equal(said.service?.protocol, 'udp');
        const seen = await send(live, key, source, port);
        const fault = disagreement(said, seen);
        if (fault !== null)
          faults.push(`mesh ${seed}, datagram ${i}: ${fault}\n${JSON.stringify(said, null, 1)}`);
        if (disagreement(wrong(said), seen) !== null) noticed++;
        occurred.add(seen.failure === '' ? 'forwarded' : seen.failure);
        const legs = legsOf(said);
        for (const { facts } of legs) if (facts.odds > 0) occurred.add(facts.reason);
        const isFair = said.backends.length === 1 && !said.backends[0]?.picks.startsWith('round');
        const best = legs.toSorted((a, b) => b.facts.odds - a.facts.odds)[0];
        if (isFair && best !== undefined && best.facts.odds > 0 && best.facts.odds < 1)
          odds.add(best.facts.odds, seen.tried[0] === best.key);
      }
      await live.stop();
      // oxlint-enable no-await-in-loop
    }
    assert.deepEqual(faults.slice(0, 2), [], `${faults.length} disagreements`);
    assert.ok(noticed > 50, `${noticed} wrong explanations were noticed`);
    assert.ok(odds.deviation < 4, `off by ${odds.deviation} standard deviations`);
    const needed = ['forwarded', 'no_endpoint', 'connect_failed', 'rate_limited', 'overloaded'];
    assert.deepEqual(
      needed.filter((each) => !occurred.has(each)),
      [],
      [...occurred].join('; '),
    );
  });
});
