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
/** Longer than the tests. */
const ECHO_MS = 600_000;
let mesh: MeshBed;
let node: string;

/** Answers each datagram with the name of its Pod. */
const ECHO = `
  const socket = require('node:dgram').createSocket('udp6');
  socket.on('message', (data, from) => socket.send(process.env.POD_NAME, from.port, from.address));
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
        resolve({ pod: String(data), from: from.address });
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
