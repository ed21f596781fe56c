/** Faults of the control plane and of the DNS while callers call: what is lost, and how soon all is well again. */

import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { COREFILE } from './bed/coredns.ts';
import { FaultBed, isNothing, isOther, isWeb, NS, PLAIN_WEB } from './mesh/fault-bed.ts';
import { assertNoneLost, assertWays, CONNECTIONS, Loads, THINK_MS } from './mesh/loads.ts';
import { MESH, type MeshBed, sumOf } from './mesh/mesh.ts';

const skip = process.env['MAESH_TEST_EXTERNAL'] === '1' && 'faults are made in the bed only';
/** A leader that is silent loses its Lease after 15 s; who waits for it asks every 2 s and a bit. */
const LEADERSHIP_MOVES_MS = 20_000;
/** What a busy machine may add to times like these. */
const BUSY_MS = 10_000;
/** Everything of ours that waits for the API server tries again after 30 s at the latest; and as much for a busy machine. */
const API_BACK_MS = 60_000;
/** How long the API server is away: longer than any Lease of ours, and than the longest pause of who asks for it again. */
const AWAY_MS = 35_000;
/** The leader watches what it has written and puts it right at once: far sooner than anything is looked at again. Room for a busy machine. */
const REPAIRED_MS = 10_000;
/**
 * CoreDNS of the bed looks at its Corefile every 2 to 3 s, so it hardly ever sees one that is put right at once. If it
 * does, it sees the right one 3 s later, and takes leave of what it runs for 5 s first (`lameduck`); for each of two edits.
 */
const DNS_GONE_MS = 2 * (3_000 + 5_000);
/** From one write of the rules to the next. */
const KUBE_PROXY_MS = 1_000;
let faults: FaultBed;
let mesh: MeshBed;

before(async () => {
  if (skip !== false) return;
  faults = await FaultBed.start();
  mesh = faults.mesh;
});

after(async () => {
  if (skip === false) await faults.stop();
});

/** What callers of the other ways may hear where a name is gone for a while. */
function unnamed(max: number): Parameters<typeof assertWays>[1] {
  const none = { ends: /^(?:ENOTFOUND|EAI_AGAIN)$/, max };
  return { http2: none, grpc: none, tcp: none };
}

async function follower(): Promise<string> {
  const leader = await mesh.leader();
  const names = (await mesh.controllers()).map(({ metadata }) => `${MESH}/${metadata.name}`);
  const found = names.find((name) => name !== leader);
  assert.ok(found !== undefined);
  return found;
}

test('a follower is killed while Services change: nothing is lost', { skip }, async (t) => {
  const counts = await faults.loaded(t, async () => {
    await mesh.bed.killProcess(await follower(), 'SIGKILL');
    await faults.updates(t, 'after-follower');
  });
  assertNoneLost(counts);
  await faults.allIsWell();
});

test('the leader is killed and gone: another leads within 20 s', { skip }, async (t) => {
  const counts = await faults.loaded(t, async () => {
    const leader = await mesh.leader();
    const name = leader.slice(MESH.length + 1);
    await mesh.bed.killProcess(leader, 'SIGKILL');
    const killedMs = Date.now();
    await mesh.bed.kubectl(['-n', MESH, 'delete', 'pod', name, '--force', '--grace-period=0']);
    const [movedMs] = await Promise.all([
      mesh.bed
        .waitFor('another leader', async () => (await mesh.leader()) !== leader)
        .then(() => Date.now() - killedMs),
      faults.updates(t, 'after-leader', LEADERSHIP_MOVES_MS + API_BACK_MS),
    ]);
    t.diagnostic(`leadership moved after ${movedMs} ms`);
    assert.ok(movedMs <= LEADERSHIP_MOVES_MS + BUSY_MS, `${movedMs} ms`);
  });
  assertNoneLost(counts);
  await faults.allIsWell();
});

test('the API server is away: callers, agents and controllers go on', { skip }, async (t) => {
  const { apiServer } = mesh.bed.onlyLocal;
  const killed = await follower();
  const pods = [...(await mesh.agents()), ...(await mesh.controllers())].filter(
    ({ metadata }) => `${MESH}/${metadata.name}` !== killed,
  );
  const restarts = await faults.restarts();
  await faults.serviceOfSlice('moves', 'web');
  await faults.untilAll('http://moves.shop.maesh/', isWeb);
  const counts = await faults.loaded(t, async (loads) => {
    await apiServer.kill();
    const awayMs = performance.now();
    await mesh.bed.killProcess(killed, 'SIGKILL');
    while (performance.now() - awayMs < AWAY_MS) {
      await faults.assertReady(pods);
      await loads.more(50);
    }
    await faults.startApiServer();
    const backMs = performance.now();
    const soFar = (): number => Math.round(performance.now() - backMs);
    await faults.serviceOfSlice('moves', 'other');
    await faults.serviceOfSlice('comes', 'web');
    const [moved, named] = await Promise.all([
      faults.untilAll('http://moves.shop.maesh/', isOther, API_BACK_MS).then(soFar),
      faults.untilAll('http://comes.shop.maesh/', isWeb, API_BACK_MS).then(soFar),
    ]);
    t.diagnostic(`back: endpoints changed in ${moved} ms, a new Service named in ${named} ms`);
  });
  assertNoneLost(counts);
  await faults.allIsWell();
  assert.equal(await faults.restarts(), restarts + 1);
  for (const name of ['moves', 'comes']) await faults.removeService(name);
  await faults.untilAll('http://comes.shop.maesh/', isNothing);
});

test('an agent that starts without a controller serves its last good copy', { skip }, async (t) => {
  const { bed } = mesh;
  const scale = async (replicas: number): Promise<void> => {
    const args = ['scale', 'deployment/maesh-controller', `--replicas=${replicas}`];
    await bed.kubectl(['-n', MESH, ...args]);
    await bed.readyPods(MESH, 'app.kubernetes.io/component=controller', replicas);
  };
  const agent = await mesh.agentOn('n2');
  const during = async (): Promise<void> => {
    await scale(0);
    const restarts = await faults.restarts();
    await bed.killProcess(agent, 'SIGKILL');
    await bed.waitFor('the restart', async () => (await faults.restarts()) > restarts);
    const agents = await mesh.agents();
    await bed.waitFor('the agents to be ready', async () => {
      await faults.assertReady(agents);
      return true;
    });
    assert.match(await bed.logs(agent), /Started from the last good copy/);
    await faults.carriedBy('n2', 'n2');
  };
  // The callers of n1 have an agent of their own: that of n2 does not concern them.
  const body = async (): Promise<void> => {
    await during().finally(() => scale(2));
    await faults.updates(t, 'after-none');
  };
  const counts = await faults.loaded(t, body, { nodes: ['n1'] });
  const { kept, fresh } = counts;
  assert.deepEqual(kept.reasons, {});
  // A question about a name that the process had taken when it was killed has no answer: at most one of each caller.
  const { ENOTFOUND: unanswered = 0, ...others } = fresh.reasons;
  assert.deepEqual(others, {});
  assert.ok(unanswered <= CONNECTIONS, `${unanswered} questions without an answer`);
  assertWays(counts, unnamed(1));
  await faults.allIsWell();
});

/**
 * Since the API server started: each of two controllers lists a kind once, and once more when the first time it is
 * refused half-way.
 */
async function assertFewLists(t: TestContext): Promise<void> {
  const page = await mesh.bed.api.text('/metrics');
  for (const resource of ['services', 'endpointslices', 'namespaces', 'serviceaccounts']) {
    const labels = { resource, scope: 'cluster', verb: 'LIST' };
    const count = sumOf(page, 'apiserver_request_total', labels);
    t.diagnostic(`lists of ${resource}: ${count}`);
    assert.ok(count <= 4, `${count} lists of ${resource}`);
  }
}

test('history is forgotten and watches are cut: no storm of lists', { skip }, async (t) => {
  const { apiServer } = mesh.bed.onlyLocal;
  const counts = await faults.loaded(t, async () => {
    await apiServer.kill();
    await mesh.bed.onlyLocal.compact();
    await faults.startApiServer();
    await faults.updates(t, 'after-compaction', API_BACK_MS);
    await assertFewLists(t);
    for (let cut = 0; cut < 2; cut++) {
      await apiServer.kill();
      await faults.startApiServer();
    }
    await faults.updates(t, 'after-cuts', API_BACK_MS);
    await assertFewLists(t);
  });
  assertNoneLost(counts);
  await faults.allIsWell();
});

test(
  'the cluster DNS is rolled: no lookup is lost that the plain name keeps',
  { skip },
  async (t) => {
    const roll = async (): Promise<void> => {
      await mesh.bed.kubectl(['-n', 'kube-system', 'rollout', 'restart', 'deployment/coredns']);
      await mesh.bed.rolledOut('kube-system', 'deployment/coredns');
    };
    const beside = await Loads.start(t, mesh.bed, { namespace: NS, url: PLAIN_WEB });
    const counts = await faults.loaded(t, roll);
    const { kept, fresh } = counts;
    const plain = await beside.stop();
    assert.deepEqual(kept.reasons, {});
    assertWays(counts, unnamed(plain.fresh.failed));
    assert.ok(fresh.failed <= plain.fresh.failed, `${fresh.failed}, ${plain.fresh.failed} failed`);
    await faults.allIsWell();
  },
);

test(
  'the DNS stanza is taken out by hand: it is back at once, and a person keeps the rest',
  { skip },
  async (t) => {
    const meshed = await mesh.corefile();
    assert.notEqual(meshed, COREFILE);
    const logging = (kind: string): string =>
      COREFILE.replace('    loop\n', `    loop\n    log . {\n        class ${kind}\n    }\n`);
    const back = async (was: string, wanted: string): Promise<void> => {
      await faults.replaceCorefile(was);
      const startMs = performance.now();
      await mesh.bed.waitFor('the stanza', async () => (await mesh.corefile()) === wanted);
      const tookMs = Math.round(performance.now() - startMs);
      t.diagnostic(`back after ${tookMs} ms`);
      assert.ok(tookMs < REPAIRED_MS, `${tookMs} ms`);
    };
    let betweenMs = 0;
    const counts = await faults.loaded(t, async (loads) => {
      const edited = logging('error');
      await back(COREFILE, meshed);
      const pausedMs = performance.now();
      await loads.more(100);
      betweenMs = performance.now() - pausedMs;
      await back(edited, meshed.replace(COREFILE, edited));
      await loads.more(100);
      // Beside the stanza, a person may edit what they like.
      const others = meshed.replace(COREFILE, logging('denial'));
      await faults.replaceCorefile(others);
      await loads.more(200);
      assert.equal(await mesh.corefile(), others);
      await faults.replaceCorefile(meshed);
      await loads.more(100);
    });
    const { kept, fresh } = counts;
    assert.deepEqual(kept.reasons, {});
    assertWays(counts, unnamed(Number.POSITIVE_INFINITY));
    // A name that is gone is the only thing that can be seen of it.
    assert.equal(fresh.failed, fresh.reasons['ENOTFOUND'] ?? 0);
    assert.ok(fresh.failingMs < DNS_GONE_MS + betweenMs + BUSY_MS, `${fresh.failingMs} ms`);
    await faults.allIsWell();
  },
);

test(
  'a shadow Service is deleted and edited by hand: it is what it was before, soon',
  { skip },
  async (t) => {
    const old = await mesh.published(`${NS}/web`);
    const name = old.metadata.name;
    let refusedMs = 0;
    const isRepaired = async (): Promise<boolean> => {
      const { spec, metadata } = await mesh.published(`${NS}/web`);
      assert.deepEqual(spec, old.spec);
      assert.equal(metadata.name, name);
      return true;
    };
    const repaired = async (what: string, edit: () => Promise<unknown>): Promise<void> => {
      const startMs = performance.now();
      await edit();
      // What kubectl takes to start and to end is not the repair.
      const editedMs = performance.now();
      await mesh.bed.waitFor(`${what} to be repaired`, isRepaired, { everyMs: 20 });
      const ms = Math.round(performance.now() - editedMs);
      t.diagnostic(`${what}: repaired ${ms} ms after the edit`);
      refusedMs += Math.max(Math.round(performance.now() - startMs), KUBE_PROXY_MS);
      assert.ok(ms < REPAIRED_MS, `${ms} ms`);
    };
    const patch = async (spec: object): Promise<void> => {
      const body = JSON.stringify({ spec });
      await mesh.bed.kubectl(['-n', MESH, 'patch', 'service', name, '--type=merge', '-p', body]);
    };
    const counts = await faults.loaded(t, async (loads) => {
      await repaired('deleted', () => mesh.bed.kubectl(['-n', MESH, 'delete', 'service', name]));
      assert.notEqual((await mesh.published(`${NS}/web`)).metadata.uid, old.metadata.uid);
      await loads.more(50);
      await repaired('targetPort', () =>
        patch({ ports: [{ name: 'http', port: 80, targetPort: 1 }] }),
      );
      await loads.more(50);
      await repaired('selector', () => patch({ selector: { app: 'nobody' } }));
      await loads.more(50);
    });
    const { kept, fresh } = counts;
    assert.deepEqual(kept.reasons, {});
    const refused = { ends: /^ECONNREFUSED$/, max: Number.POSITIVE_INFINITY };
    assertWays(counts, { http2: refused, grpc: refused, tcp: refused });
    // kube-proxy writes its rules once a second: an edit that it has seen is in force until the next time, or until the
    // repair where that takes longer. Whoever is refused comes again after the pause between two requests.
    const bound = (2 * CONNECTIONS * refusedMs) / THINK_MS;
    t.diagnostic(`at most ${bound} refused`);
    assert.ok(fresh.failed <= bound);
    assert.equal(fresh.failed, fresh.reasons['ECONNREFUSED'] ?? 0);
    await faults.allIsWell();
  },
);

async function publishedShadows(): ReturnType<MeshBed['shadows']> {
  const shadows = await mesh.shadows();
  return shadows.filter(
    ({ metadata }) => metadata.annotations?.['maesh.dev/state'] === 'published',
  );
}

/** Restarts the controllers with another range of proxy ports. */
async function setProxyPorts(from: number, to: number): Promise<void> {
  await mesh.upgrade('--set', `proxyPorts.from=${from}`, '--set', `proxyPorts.to=${to}`);
  await mesh.ready();
}

test(
  'the range of proxy ports is used up: who gets none is told, others go on',
  { skip },
  async (t) => {
    interface Told {
      readonly object: string;
      readonly message: string;
      readonly remedy: string;
    }
    const problemsOf = async (): Promise<{ readonly problems: readonly Told[] }> =>
      await mesh.admin(await mesh.leader(), '/api/problems');
    const inUse = (await publishedShadows()).reduce((all, { spec }) => all + spec.ports.length, 0);
    const body = async (loads: Loads): Promise<void> => {
      await setProxyPorts(10_000, 10_000 + inUse - 1);
      await mesh.bed.waitFor('all to have ports of the new range, or to be told', async () => {
        const { problems } = await problemsOf();
        const told = new Set(problems.map(({ object }) => object));
        return (await publishedShadows()).every(
          ({ metadata, spec }) =>
            told.has(`Service ${metadata.annotations?.['maesh.dev/service']}`) ||
            spec.ports.every(({ targetPort }) => targetPort < 10_000 + inUse),
        );
      });
      await faults.service('starved', 'web');
      const told = await mesh.bed.waitFor('the problem', async () => {
        const { problems } = await problemsOf();
        return problems.find(({ object }) => object === `Service ${NS}/starved`);
      });
      assert.match(told.message, /gets? no proxy port: .*--proxy-ports/);
      assert.match(told.remedy, /proxy-ports/);
      await mesh.bed.waitFor('the Event', async () => {
        const events = await mesh.bed.kubectl(['-n', NS, 'events', '--for', 'service/starved']);
        return /gets? no proxy port/.test(events) && events.includes('--proxy-ports');
      });
      await faults.untilAll('http://starved.shop.maesh/', isNothing);
      await loads.more(50);
      await setProxyPorts(10_000, 10_099);
      await faults.untilAll('http://starved.shop.maesh/', isWeb);
    };
    // All ports are to move, and the namespace has its share only: those that get no other one stay where they are.
    const counts = await faults.loaded(t, body);
    assertNoneLost(counts);
    await faults.removeService('starved');
    await faults.allIsWell();
  },
);
