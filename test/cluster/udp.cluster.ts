/** A port of UDP beside one of TCP on the same number: through the shadow Service, kube-proxy and the agent of the caller's node. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { appObjects, callerPod, namespaceObjects } from './app-manifests.ts';
import { MESH, MeshBed, sumOf } from './mesh/mesh.ts';

const NS = 'udp';
const HOST = `echo.${NS}.maesh`;
const NUMBER = 53;
const TARGET = 9_053;
const DATAGRAMS = 10;
const SOCKETS = 20;
const LOAD_SOCKETS = 10;
/** What one session may lose: it moves once or twice, and what is under way then is one question. */
const LOST_MAX = 3;
/** Longer than the tests. */
const ECHO_MS = 600_000;
let mesh: MeshBed;
let node: string;

/** Answers each datagram with the name of its Pod, and what was in it. */
const ECHO = `
  const socket = require('node:dgram').createSocket('udp6');
  socket.on('message', (data, from) => socket.send(process.env.POD_NAME + ' ' + data, from.port, from.address));
  socket.bind(${TARGET}, '::', () => console.log('listens'));
`;
/** Asks from one socket ten times, and from twenty sockets once. */
const ASK = `
  const { createSocket } = require('node:dgram');
  const ask = (socket) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer')), 5_000);
      socket.once('message', (data, from) => {
        clearTimeout(timer);
        resolve({ pod: String(data).split(' ')[0], from: from.address });
      });
      socket.send('x', ${NUMBER}, '${HOST}');
    });
  (async () => {
    const socket = createSocket('udp4');
    const one = [];
    for (let i = 0; i < ${DATAGRAMS}; i++) one.push(await ask(socket));
    const many = [];
    for (let i = 0; i < ${SOCKETS}; i++) {
      const other = createSocket('udp4');
      many.push(await ask(other));
      other.close();
    }
    console.log(JSON.stringify({ one, many }));
    process.exit(0);
  })();
`;

/** Told on this port of its own to end. */
const STOP_PORT = 9_054;
/**
 * Asks all the time: from sockets that stay, one question after the other on each, and from sockets for one question. A question
 * without an answer for five seconds is lost, unless the answer still comes.
 */
const LOAD = `
  const { createSocket } = require('node:dgram');
  const result = { kept: { sent: 0, lost: 0, late: 0 }, fresh: { sent: 0, lost: 0, late: 0 }, worst: 0, errors: [] };
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const open = (count) => {
    const waits = new Map();
    const own = { lost: 0 };
    const socket = createSocket('udp4');
    socket.on('error', ({ code }) => result.errors.push(code));
    socket.on('message', (data) => waits.get(String(data).split(' ')[1])?.());
    const ask = () => new Promise((resolve) => {
      const id = count.sent++ + '-' + Math.random();
      let isLost = false;
      const timer = setTimeout(() => {
        isLost = true;
        count.lost++;
        own.lost++;
        resolve(false);
      }, 5_000);
      waits.set(id, () => {
        waits.delete(id);
        clearTimeout(timer);
        if (isLost) {
          count.lost--;
          own.lost--;
          count.late++;
        }
        resolve(true);
      });
      socket.send(id, ${NUMBER}, process.argv[1]);
    });
    return { ask, own, close: () => socket.close() };
  };
  let isOver = false;
  const stay = async () => {
    const { ask, own } = open(result.kept);
    while (!isOver) {
      await ask();
      await pause(10);
    }
    return own;
  };
  const change = async () => {
    while (!isOver) {
      const { ask, close } = open(result.fresh);
      if (await ask()) close();
      await pause(10);
    }
  };
  const loads = Array.from({ length: ${LOAD_SOCKETS} }, stay);
  const changing = change();
  const control = createSocket('udp4').on('message', async () => {
    isOver = true;
    const all = await Promise.all(loads);
    await changing;
    for (let i = 0; i < 100 && result.kept.lost + result.fresh.lost > 0; i++) await pause(100);
    result.worst = Math.max(...all.map(({ lost }) => lost));
    console.log(JSON.stringify(result));
    process.exit(0);
  });
  control.bind(${STOP_PORT}, '127.0.0.1');
`;
const STOP = `
  const socket = require('node:dgram').createSocket('udp4');
  socket.send('stop', ${STOP_PORT}, '127.0.0.1', () => socket.close());
`;

interface Lost {
  readonly sent: number;
  readonly lost: number;
  /** Answered after more than five seconds. */
  readonly late: number;
}

interface Loaded {
  /** Of sockets that stay. */
  readonly kept: Lost;
  /** Of sockets for one question each. */
  readonly fresh: Lost;
  /** The most that one socket has lost. */
  readonly worst: number;
  readonly errors: readonly string[];
}

interface Asked {
  readonly one: readonly { readonly pod: string; readonly from: string }[];
  readonly many: readonly { readonly pod: string; readonly from: string }[];
}

before(async () => {
  mesh = await MeshBed.start({ nodes: 2 });
  const { bed } = mesh;
  const [one = ''] = await bed.nodes();
  node = one;
  const ports = [
    { name: 'echo', port: NUMBER, protocol: 'UDP', targetPort: TARGET },
    { name: 'echo-tcp', port: NUMBER, protocol: 'TCP', targetPort: 'tcp', appProtocol: 'tcp' },
  ];
  await bed.apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: MESH } },
    ...namespaceObjects(NS),
    ...appObjects({ namespace: NS, name: 'echo', replicas: 2, service: { ports } }),
    callerPod({ namespace: NS, name: 'caller', node }),
  );
  await bed.readyPods(NS, 'app=echo', 2);
  await bed.readyPods(NS, 'app=caller', 1);
  await mesh.install();
});

after(async () => {
  if (mesh.bed.local === undefined) {
    await mesh.uninstall('--ignore-not-found');
    await mesh.bed.kubectl(['delete', 'namespace', NS, MESH, '--ignore-not-found']);
  }
  await mesh.stop();
});

test('a Pod asks by UDP through the mesh, and is answered from the address that it called', async () => {
  const { bed } = mesh;
  const pods = await bed.pods(NS, 'app=echo');
  // They run until the Pods end.
  for (const { metadata } of pods)
    void bed.exec(`${NS}/${metadata.name}`, ['node', '-e', ECHO], { timeoutMs: ECHO_MS });
  const shadow = await mesh.published(`${NS}/echo`);
  const numbers = shadow.spec.ports.map(({ port, protocol }) => `${port}/${protocol}`);
  assert.deepEqual(numbers.toSorted(), ['53/TCP', '53/UDP']);
  await mesh.named(`${NS}/caller`, HOST);
  const asked = await bed.waitFor('both Pods to answer', async () => {
    const { code, stdout } = await bed.exec(`${NS}/caller`, ['node', '-e', ASK]);
    if (code !== 0) return false;
    const answers = JSON.parse(stdout) as Asked;
    return new Set(answers.many.map(({ pod }) => pod)).size === 2 && answers;
  });
  assert.equal(new Set(asked.one.map(({ pod }) => pod)).size, 1, 'a session stays with its Pod');
  for (const { from } of [...asked.one, ...asked.many]) assert.equal(from, shadow.spec.clusterIP);
  const page = await mesh.metrics(await mesh.agentOn(node));
  const opened = sumOf(page, 'maesh_udp_sessions_opened_total', { service: `${NS}/echo` });
  assert.ok(opened > SOCKETS, `${opened} sessions on the node of the caller`);
});

/** Sessions that the agent of a node has opened since it started; 0 while it says nothing. */
async function opened(agent: string): Promise<number> {
  return sumOf(await mesh.metrics(agent), 'maesh_udp_sessions_opened_total', {
    service: `${NS}/echo`,
  });
}

test('an agent is rolled while Pods ask by UDP: what is lost is what was under way', async (t) => {
  const { bed } = mesh;
  const caller = `${NS}/caller` as const;
  const old = await mesh.agentOn(node);
  const before = await opened(old);
  const argv = ['node', '-e', LOAD, HOST];
  const loaded = bed.exec(caller, argv, { timeoutMs: ECHO_MS });
  await bed.waitFor('the load', async () => (await opened(old)) > before + 2 * LOAD_SOCKETS);
  const name = old.slice(MESH.length + 1);
  await bed.kubectl(['-n', MESH, 'delete', 'pod', name, '--wait=false']);
  await bed.waitFor('the next agent to carry', async () => {
    const next = await mesh.agentOn(node);
    return next !== old && (await opened(next)) > 2 * LOAD_SOCKETS;
  });
  await bed.waitFor('the end of the old one', async () => {
    const { stderr } = await bed.tryKubectl(['-n', MESH, 'get', 'pod', name]);
    return stderr.includes('not found');
  });
  await bed.exec(caller, ['node', '-e', STOP]);
  const { code, stdout, stderr } = await loaded;
  assert.equal(code, 0, stderr);
  const { kept, fresh, worst, errors } = JSON.parse(stdout) as Loaded;
  const tell = ({ sent, lost, late }: Lost): string => `${lost} of ${sent} lost, ${late} late`;
  t.diagnostic(`sockets that stay: ${tell(kept)}, one of them ${worst}; new ones: ${tell(fresh)}`);
  assert.deepEqual(errors, []);
  assert.ok(worst <= LOST_MAX, `${worst} of one socket`);
  assert.ok(fresh.lost <= LOST_MAX, `${fresh.lost} of new sockets`);
});
