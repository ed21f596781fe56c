/** The main thread throws for an unknown cause, in each of its parts, under load: no request is lost, and the part is there again. */

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import net from 'node:net';
import { test } from 'node:test';
import { RESTARTS_MAX } from '../../src/base/supervisor.ts';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { EndpointsProcess } from './support/children.ts';
import { Loads, manifestsOf, openAll, UDP_WAY, udpManifestsOf, WAYS } from './support/ways.ts';
import { PLACES } from './support/throw-inside.ts';
import { ownRange } from '../support/ranges.ts';

const PORT = 20_031;
const ANSWERED = 'maesh_requests_total{service="s/web",code_class="2xx"}';
const PRELOAD = new URL('./support/throw-inside.ts', import.meta.url).href;

test('what the main thread throws, wherever, loses no request and no part of it', async (t) => {
  const folder = new Folder();
  const servers = new EndpointsProcess(t);
  const pods = ownRange();
  const all = [1, 2].map((i) => ({ address: pods.host(i), port: 21_031 }));
  await openAll(servers, all);
  folder.put('all.yaml', ...manifestsOf(PORT, all), ...udpManifestsOf(PORT, all));
  const mesh = new Mesh({
    paths: [folder.path],
    cidr: ownRange().cidr,
    threads: 2,
    env: { NODE_OPTIONS: `--import=${PRELOAD}` },
  });
  t.after(async () => {
    await mesh.stop('SIGKILL');
    folder.remove();
  });
  await mesh.ready();
  const host = await mesh.addressOf('s/web');
  const load = await Loads.start(t, {
    at: async (key) => ({ host: await mesh.addressOf(key), port: PORT }),
    keepAlive: 8,
    newPerSecond: 40,
    thinkMs: 2,
    ways: [...WAYS, UDP_WAY],
  });
  /** Touches every part, so that whichever is broken throws. */
  const poke = async (): Promise<void> => {
    const socket = createSocket('udp4');
    socket.send(Buffer.alloc(20), mesh.dnsPort, '127.0.0.1', () => socket.close());
    net
      .connect(mesh.dnsPort, '127.0.0.1')
      .on('error', () => undefined)
      .end();
    folder.write('touched.yaml', `# ${performance.now()}\n`);
    await mesh.status('/healthz').catch(() => 0);
  };
  const failed = (): number => mesh.stderr.split('its parts were started again').length - 1;
  for (const [index, place] of PLACES.entries()) {
    // oxlint-disable no-await-in-loop -- one fault after the other
    await until('there is load', async () => (await mesh.metric(ANSWERED)) > (index + 1) * 500);
    mesh.child.kill('SIGUSR2');
    await until(`${place} has failed`, async () => {
      await poke();
      return failed() > index;
    });
    const resolver = new Resolver({ timeout: 1_000, tries: 3 });
    resolver.setServers([`127.0.0.1:${mesh.dnsPort}`]);
    assert.deepEqual(await resolver.resolve4('web.s.maesh'), [host]);
    assert.equal(await mesh.status('/readyz'), 200);
    folder.put(
      `new-${index}.yaml`,
      service(`s/new-${index}`, 20_032),
      endpoints(`s/new-${index}`, all),
    );
    await until('manifests are followed', () => mesh.addressOf(`s/new-${index}`));
    // oxlint-enable no-await-in-loop
  }
  for (const [{ name }, { closedIdle }] of await load.stopWithoutFailure(t))
    assert.equal(closedIdle, 0, name);
  assert.equal(await mesh.metric('maesh_defects_total{part="other"}'), PLACES.length);
  assert.match(mesh.stderr, /thrown inside by a test: udp\\n +at /);

  for (let i = PLACES.length; i <= RESTARTS_MAX; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one fault after the other
    await until('it has failed again', async () => {
      if (failed() > i || mesh.stderr.includes('ends in order')) return true;
      // A place may be away just now, as a part is that is being made anew.
      mesh.child.kill('SIGUSR2');
      await poke();
      return false;
    });
  }
  assert.equal(await mesh.exit, 1, 'too often: it ends in order');
  assert.match(mesh.stderr, /failed 11 times in ten minutes; this process ends in order/);
  assert.match(mesh.stderr, /Draining/);
});
