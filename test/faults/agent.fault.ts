/** The main thread of an agent throws for an unknown cause, in each of its parts, under load: no request is lost, and the part is there again. */

import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import net from 'node:net';
import { test } from 'node:test';
import { RESTARTS_MAX } from '../../src/base/supervisor.ts';
import { Cluster } from '../control/support/cluster.ts';
import { namespace } from '../control/support/objects.ts';
import { ownRange } from '../support/ranges.ts';
import { EndpointsProcess } from './support/children.ts';
import { AGENT_PLACES } from './support/throw-inside.ts';
import { Loads, openAll, SERVICES, UDP_OFFSET, UDP_WAY, WAYS } from './support/ways.ts';

const PRELOAD = new URL('./support/throw-inside.ts', import.meta.url).href;
const PORT = 21_051;
const AGAIN = 'The main thread failed, and its parts were started again; the proxy threads went on';

test('what the main thread of an agent throws, wherever, loses no request and no part of it', async (t) => {
  const cluster = await Cluster.start({ areProcesses: true });
  t.after(() => cluster.stop());
  cluster.api.set('v1/namespaces', namespace('s'));
  const servers = new EndpointsProcess(t);
  const pods = ownRange();
  const asked = [
    ...SERVICES.map((each) => ({ ...each, protocol: 'TCP' })),
    { key: UDP_WAY.key, appProtocol: undefined, portOffset: UDP_OFFSET, protocol: 'UDP' },
  ];
  for (const [i, { key, appProtocol, portOffset, protocol }] of asked.entries()) {
    const at = { address: pods.host(i + 1), port: PORT };
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await openAll(servers, [at]);
    const ports = [{ name: 'http', port: 80, protocol, appProtocol }];
    cluster.expose(key, { ...at, port: PORT + portOffset }, {}, { ports });
  }
  const controller = await cluster.controller('c1');
  let child: ChildProcess | null = null;
  const agent = await cluster.agent('a1', {
    preload: PRELOAD,
    onStart: (started) => (child = started),
  });
  const fail = (): void => void child?.kill('SIGUSR2');
  await Promise.all([controller.part.ready(), agent.part.ready()]);
  const load = await Loads.start(t, {
    at: async (key) => {
      const name = `${key.slice(2)}.s.maesh`;
      const { proxyPort } = await cluster.until('it has a name', async () =>
        (await agent.lookup(name)).length > 0 ? cluster.shadow(key) : null,
      );
      return { host: '127.0.0.1', port: proxyPort };
    },
    keepAlive: 8,
    newPerSecond: 40,
    thinkMs: 2,
    ways: [...WAYS, UDP_WAY],
  });
  /** Touches every part, so that whichever is broken throws. */
  const poke = async (): Promise<void> => {
    const socket = createSocket('udp4');
    socket.send(Buffer.alloc(20), agent.dnsPort, '127.0.0.1', () => socket.close());
    net
      .connect(agent.dnsPort, '127.0.0.1')
      .on('error', () => undefined)
      .end();
    cluster.annotate('s/web', { 'maesh.dev/retry-attempts': String(1 + (pokes++ % 5)) });
    await agent.part.status('/healthz').catch(() => 0);
  };
  let pokes = 0;
  const failed = (): number => agent.part.lines.filter(({ message }) => message === AGAIN).length;
  for (const [index, place] of AGENT_PLACES.entries()) {
    // oxlint-disable no-await-in-loop -- one fault after the other
    fail();
    await cluster.until(`${place} has failed`, async () => {
      await poke();
      return failed() > index;
    });
    await cluster.deploy(`shop/new-${index}`);
    await cluster.until('names are answered, and the controller is followed', async () => {
      // Published while the agent was not connected, it has a name a moment before it has a listener here.
      const answer = cluster.call(agent, `new-${index}.shop.maesh`);
      return (await answer.catch(() => null))?.status === 200;
    });
    await agent.part.ready();
    // oxlint-enable no-await-in-loop
  }
  for (const [{ name }, { closedIdle }] of await load.stopWithoutFailure(t))
    assert.equal(closedIdle, 0, name);
  const metrics = await agent.part.text('/metrics');
  assert.match(
    metrics,
    new RegExp(`^maesh_defects_total\\{part="other"\\} ${AGENT_PLACES.length}$`, 'm'),
  );

  for (let i = AGENT_PLACES.length; i <= RESTARTS_MAX; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one fault after the other
    await cluster.until('it has failed again', async () => {
      if (failed() > i || agent.part.log.includes('ends in order')) return true;
      // A place may be away just now, as the stream is before it is connected again.
      fail();
      await poke();
      return false;
    });
  }
  assert.equal(await agent.part.exit, 1, 'too often: it ends in order');
  assert.match(agent.part.log, /failed 11 times in ten minutes; this process ends in order/);
  assert.match(agent.part.log, /Leaving: not ready, accepting for a while/);
});
