/** One namespace wants all proxy ports, while callers call another one: it gets its share, says what it does not get, and costs nobody else anything. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { appObjects, namespaceObjects } from './app-manifests.ts';
import type { Bed } from './bed/bed.ts';
import { FaultBed, NS } from './mesh/fault-bed.ts';
import { assertNoneLost } from './mesh/loads.ts';
import { MESH, type MeshBed, type ServicePort } from './mesh/mesh.ts';

const skip = process.env['MAESH_TEST_EXTERNAL'] === '1' && 'it takes what others need';
const MAESH = join(import.meta.dirname, '../../bin/kubectl-maesh');
const GREEDY = 'greedy';
const LATE = 'late';
/** A range in which the share of a namespace is less than what these Services may have with 256 ports each. */
const [FROM, TO] = [10_000, 12_499];
const RANGE = TO - FROM + 1;
/** One alone has less than three times as many as are then free beyond the reserve, an eighth. */
const SHARE = Math.ceil(((RANGE - Math.floor(RANGE / 8)) * 3) / 4);
const SERVICE_MAX = 256;
/** Ten, which could have the whole range: that more are gone at once is believed after half a minute only. */
const NAMES = [...Array.from({ length: 9 }, (_, i) => `s${i}`), 'big'];
let faults: FaultBed;
let mesh: MeshBed;
let bed: Bed;

before(async () => {
  if (skip !== false) return;
  faults = await FaultBed.start('--set', `proxyPorts.from=${FROM},proxyPorts.to=${TO}`);
  ({ mesh, bed } = faults);
});

after(async () => {
  if (skip === false) await faults.stop();
});

/** Nine Services with 1,900 ports and one with more than 2,000. kube-proxy leaves them alone: what it takes for so many is not the question. */
function services(first: number, note: string): string {
  const items = NAMES.map((name) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name,
      namespace: GREEDY,
      labels: { 'service.kubernetes.io/service-proxy-name': 'none' },
      annotations: { 'maesh.dev/timeout-request': note },
    },
    spec: {
      selector: { app: 'none' },
      ports: Array.from({ length: name === 'big' ? 2_100 : 1_900 }, (_, i) => ({
        name: `p${first + i}`,
        port: first + i,
        appProtocol: 'http',
      })),
    },
  }));
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

interface Held {
  readonly state: string;
  readonly clusterIP: string;
  /** `80 10123`: what leads to which proxy port now. */
  readonly ports: readonly string[];
  readonly announced: number;
}

/** Who has which proxy ports. */
async function held(): Promise<Map<string, Held>> {
  const pair = ({ port, targetPort }: ServicePort): string => `${port} ${targetPort}`;
  const rows = (await mesh.shadows()).map(({ metadata: { annotations = {} }, spec }) => {
    const announced = JSON.parse(annotations['maesh.dev/announced-ports'] ?? '[]') as unknown[];
    const what = {
      state: annotations['maesh.dev/state'] ?? '',
      clusterIP: spec.clusterIP,
      ports: spec.ports.map(pair).sort(),
      announced: announced.length,
    };
    return [annotations['maesh.dev/service'] ?? '', what] as const;
  });
  return new Map(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function ofGreedy(all: ReadonlyMap<string, Held>): readonly Held[] {
  return [...all].filter(([key]) => key.startsWith(`${GREEDY}/`)).map(([, each]) => each);
}

/** Waits until the greedy ones have what they get, and nothing of it is on its way. */
async function settled(): Promise<Map<string, Held>> {
  return await bed.waitFor(
    'the share of the namespace to be used up',
    async () => {
      const all = await held();
      const greedy = ofGreedy(all);
      const count = greedy.reduce((sum, { ports }) => sum + ports.length, 0);
      const isRest = greedy.every((each) => each.state === 'published' && each.announced === 0);
      return count > 0.95 * SHARE && isRest && all;
    },
    { timeoutMs: 240_000, everyMs: 500 },
  );
}

interface Finding {
  readonly severity: string;
  readonly object: string;
  readonly value: string;
  readonly message: string;
  readonly remedy: string;
}

/** What `check` says of the greedy ones' ports. */
async function findings(): Promise<readonly Finding[]> {
  const { stdout } = await bed.run([MAESH, 'check', '-o', 'json']);
  const { problems } = JSON.parse(stdout) as { problems: readonly Finding[] };
  return problems.filter(
    ({ object, message }) => object.startsWith(`Service ${GREEDY}/`) && /proxy port/.test(message),
  );
}

/** Nodes and agents that are not ready, looked for all the time until it is called. */
function watchReadiness(): () => Promise<readonly string[]> {
  const unready = new Set<string>();
  const end = new AbortController();
  const watch = async (): Promise<void> => {
    while (!end.signal.aborted) {
      const path =
        '-o=jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}';
      const agents = ['-n', MESH, 'pods', '-l', 'app.kubernetes.io/component=agent'];
      // oxlint-disable-next-line no-await-in-loop -- one look after the other
      const looks = [
        await bed.kubectl(['get', 'nodes', path]),
        await bed.kubectl(['get', ...agents, path]),
      ];
      for (const each of looks.join(' ').trim().split(/\s+/))
        if (!each.endsWith('=True')) unready.add(each);
    }
  };
  const watching = watch();
  return async () => {
    end.abort();
    await watching;
    return [...unready];
  };
}

/** Agents that have a controller. */
async function connected(): Promise<number> {
  const counts = (await mesh.controllers()).map(async ({ metadata }) => {
    const pod = `${MESH}/${metadata.name}`;
    const { agents } = await mesh.admin<{ agents: readonly unknown[] }>(pod, '/api/agents');
    return agents.length;
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** Ports on which the agents listen, the most of any. */
async function listeners(): Promise<number> {
  const counts = (await mesh.agents()).map(async ({ metadata }) => {
    type Threads = { readonly threads: readonly { readonly listeners: number }[] };
    const { threads } = await mesh.admin<Threads>(`${MESH}/${metadata.name}`, '/api/threads');
    return Math.max(...threads.map((each) => each.listeners));
  });
  return Math.max(...(await Promise.all(counts)));
}

test(
  'a namespace that wants all proxy ports gets its share, and costs nobody a request',
  { skip },
  async (t) => {
    const unready = watchReadiness();
    const restarts = await faults.restarts();
    const start = performance.now();
    const passed = (what: string): void =>
      t.diagnostic(`${what} after ${Math.round(performance.now() - start)} ms`);
    const counts = await faults.loaded(t, async () => {
      await bed.apply(...namespaceObjects(GREEDY), ...namespaceObjects(LATE));
      const before = await held();
      await bed.kubectl(['create', '-f', '-'], services(1_000, '20s'));
      const come = await settled();
      passed('the ports have come');
      const greedy = ofGreedy(come);
      const total = greedy.reduce((sum, { ports }) => sum + ports.length, 0);
      assert.ok(total <= SHARE, `${total} ports, ${SHARE} are its share`);
      assert.ok(greedy.every(({ ports }) => ports.length <= SERVICE_MAX));
      for (const [key, each] of before) assert.deepEqual(come.get(key), each, key);

      const found = await bed.waitFor('a finding for each Service', async () => {
        const all = await findings();
        return all.length === NAMES.length && all;
      });
      const capped = found.find(({ message }) => message.includes('at most 256 proxy ports'));
      assert.equal(
        capped?.value,
        capped?.object.endsWith('/big') === true ? '1256-3099' : '1256-2899',
      );
      assert.match(capped?.remedy ?? '', /^split the Service/);
      const short = found.find(({ message }) => message.includes('has its share of 10000-12499'));
      assert.match(short?.remedy ?? '', /maesh\.dev\/mesh: disabled, or widen --proxy-ports/);
      assert.ok(found.every(({ severity }) => severity === 'error'));

      // The reserve: a namespace that has none yet gets its ports.
      await bed.apply(...appObjects({ namespace: LATE, name: 'web' }));
      await mesh.named(`${NS}/caller-1`, `web.${LATE}.maesh`);
      await faults.untilAll(`http://web.${LATE}.maesh/`, (answer) => answer.startsWith('web-'));

      // All at once: a policy of each Service changes, ten of its ports go and ten others come.
      await bed.kubectl(['replace', '-f', '-'], services(1_010, '25s'));
      await bed.waitFor(
        'the ports to change',
        async () =>
          ofGreedy(await held()).every(
            (each) => each.announced === 0 && !each.ports.some((pair) => pair.startsWith('1000 ')),
          ),
        { timeoutMs: 240_000, everyMs: 500 },
      );
      passed('the ports have changed');

      const changed = await held();
      await bed.kubectl(['-n', MESH, 'rollout', 'restart', 'deployment/maesh-controller']);
      await mesh.ready();
      await bed.waitFor('both agents to be connected', async () => (await connected()) === 2);
      assert.deepEqual(await held(), changed, 'what each had, it has after a restart');
      passed('the controllers have restarted');

      await bed.kubectl(['delete', 'namespace', GREEDY, '--wait=false']);
      const few = [...changed].filter(([key]) => !key.startsWith(`${GREEDY}/`)).length * 3;
      await bed.waitFor(
        'all to be given back',
        async () => {
          const gone = ofGreedy(await held()).every(({ state }) => state === 'retired');
          return gone && (await listeners()) <= few;
        },
        { timeoutMs: 240_000, everyMs: 500 },
      );
      passed('the ports have gone');
      const path = '/api/problems';
      await bed.waitFor('no problem', async () => {
        const { problems } = await mesh.admin<{ problems: Finding[] }>(await mesh.leader(), path);
        return problems.every(({ object }) => !object.startsWith(`Service ${GREEDY}/`));
      });
    });
    assert.deepEqual(await unready(), []);
    assert.equal(await faults.restarts(), restarts);
    assertNoneLost(counts);
  },
);
