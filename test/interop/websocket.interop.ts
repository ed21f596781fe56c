/** Real servers and clients of WebSocket, through the mesh and directly: each must get the same, whatever version of HTTP is on either side. */

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { freePorts } from '../support/ports.ts';
import { type Language, runClient, ServerProcess, SKIP } from './tools.ts';

/** `alike` does the same for callers of HTTP/1.1 as one does for those of HTTP/2. */
interface Server {
  readonly language: Language;
  readonly name: string;
  readonly version: 1 | 2;
  readonly alike?: string;
}

const SERVERS: readonly Server[] = [
  { language: 'node', name: 'ws', version: 1, alike: 'ws-http2' },
  { language: 'node', name: 'ws-http2', version: 2, alike: 'ws' },
  { language: 'python', name: 'websockets', version: 1 },
];
const CLIENTS: readonly Omit<Server, 'alike'>[] = [
  { language: 'node', name: 'ws', version: 1 },
  { language: 'node', name: 'ws-http2', version: 2 },
  { language: 'python', name: 'websockets', version: 1 },
];
/** Calls of a client, each a line. */
const CALLS = 61;
const GOING_AWAY = 1001;

/** Right and wrong frames of a caller, their masks 0: what becomes of them is up to the endpoint. */
const MASK = '00000000';
const CLOSE = `8882${MASK}03e8`;
const FRAMES: Readonly<Record<string, string>> = {
  'a close': CLOSE,
  'an empty text': `8180${MASK}${CLOSE}`,
  'a text of a length in 8 bytes': `81ff0000000000000002${MASK}6869${CLOSE}`,
  'a text of a length in 2 bytes': `81fe0002${MASK}6869${CLOSE}`,
  'fragments, and a ping in between': `0181${MASK}618981${MASK}628081${MASK}63${CLOSE}`,
  'the longest ping': `89fd${MASK}${'61'.repeat(125)}${CLOSE}`,
  'a ping that is too long': `89fe007e${MASK}${'61'.repeat(126)}${CLOSE}`,
  'a ping in fragments': `0980${MASK}8080${MASK}${CLOSE}`,
  'an answer to no ping': `8a80${MASK}${CLOSE}`,
  'a reserved opcode': `8380${MASK}${CLOSE}`,
  'a reserved opcode of control': `8b80${MASK}${CLOSE}`,
  'a reserved bit': `c180${MASK}${CLOSE}`,
  'a continuation of nothing': `8080${MASK}${CLOSE}`,
  'a text within another one': `0180${MASK}8180${MASK}${CLOSE}`,
  'a text that is no UTF-8': `8181${MASK}ff${CLOSE}`,
  'a frame without mask': `8100${CLOSE}`,
  'a close without a code': `8880${MASK}`,
  'a close of one byte': `8881${MASK}03`,
  'a close with a code that nobody may send': `8882${MASK}03ed`,
  'a close with a reason that is no UTF-8': `8883${MASK}03e8ff`,
  'a text behind the close': `${CLOSE}8180${MASK}`,
};
const HANDSHAKE =
  'GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

/** What comes back until the endpoint closes. */
async function say(origin: string, frames: string, byByte: boolean): Promise<string> {
  const { hostname, port } = new URL(origin);
  const socket = net.connect(Number(port), hostname);
  socket.setNoDelay(true).setTimeout(20_000, () => socket.destroy());
  let came = '';
  socket.setEncoding('hex').on('data', (data: string) => (came += data));
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(HANDSHAKE);
  await until('the answer', () => came.includes('0d0a0d0a') || socket.destroyed);
  const bytes = Buffer.from(frames, 'hex');
  for (let at = 0; at < bytes.length; at += byByte ? 1 : bytes.length) {
    socket.write(bytes.subarray(at, byByte ? at + 1 : bytes.length));
    // oxlint-disable-next-line no-await-in-loop -- each byte in a packet of its own
    await new Promise((resolve) => setImmediate(resolve));
  }
  await closed;
  return came.slice(came.indexOf('0d0a0d0a') + 8);
}

describe('real servers and clients of WebSocket', { skip: SKIP }, () => {
  const folder = new Folder();
  const servers: ServerProcess[] = [];
  const direct = new Map<string, string>();
  let port = 0;
  let mesh: Mesh;

  before(async () => {
    const [own = 0, ...ports] = await freePorts(SERVERS.length + 1);
    port = own;
    const objects: object[] = [];
    for (const [index, { name, version }] of SERVERS.entries()) {
      const at = { address: `127.84.28.${index + 1}`, port: ports[index] ?? 0 };
      direct.set(name, `http://${at.address}:${at.port}`);
      const appProtocol = version === 2 ? 'kubernetes.io/h2c' : 'http';
      const spec = { ports: [{ name: 'http', port, targetPort: at.port, appProtocol }] };
      objects.push(service(`interop/${name}`, port, { spec }), endpoints(`interop/${name}`, [at]));
    }
    folder.put('all.yaml', ...objects);
    mesh = await Mesh.start({ paths: [folder.path], cidr: '127.84.29.0/24' });
    for (const [index, { language, name }] of SERVERS.entries()) {
      const at = { address: `127.84.28.${index + 1}`, port: ports[index] ?? 0 };
      // oxlint-disable-next-line no-await-in-loop -- few
      servers.push(await ServerProcess.start(language, name, at));
    }
  });

  after(async () => {
    await mesh?.stop();
    await Promise.all(servers.map((server) => server.stop()));
    folder.remove();
  });

  const through = async (name: string): Promise<string> =>
    `http://${await mesh.addressOf(`interop/${name}`)}:${port}`;

  for (const client of CLIENTS) {
    for (const server of SERVERS) {
      const said = `${client.name} (HTTP/${client.version}) to ${server.name} (HTTP/${server.version})`;
      test(`${said}: the same through the mesh`, async () => {
        // Without the mesh both must speak the same version: where they do not, a server or client that is alike does.
        const isSame = client.version === server.version;
        const asked = isSame ? server.name : (server.alike ?? server.name);
        const asking = isSame || server.alike !== undefined ? client.name : 'ws';
        const wanted = await runClient(client.language, asking, direct.get(asked) ?? '');
        assert.equal(wanted.length, CALLS);
        const got = await runClient(client.language, client.name, await through(server.name));
        assert.deepEqual(got, wanted);
      });
    }
  }

  // Python's answers at times before it looks at the frame behind, and at times not: it differs from itself.
  for (const [what, frames] of Object.entries(FRAMES))
    test(`ws hears and answers the same, whole and byte by byte: ${what}`, async () => {
      const [alone, meshed] = [direct.get('ws') ?? '', await through('ws')];
      const wanted = await say(alone, frames, false);
      assert.equal(await say(meshed, frames, false), wanted);
      assert.equal(await say(meshed, frames, true), wanted);
    });

  test('a mesh that ends says 1001 to all of them', async () => {
    const calls = CLIENTS.flatMap(({ language, name }) =>
      SERVERS.map(async (server) => {
        const said = await runClient(language, name, await through(server.name), ['drain']);
        return `${name} ${server.name} ${said.join(' ')}`;
      }),
    );
    const opened = async (): Promise<boolean> => {
      const figures = SERVERS.map(({ name }) =>
        mesh.metric(`maesh_upgrades{service="interop/${name}"}`),
      );
      const all = await Promise.all(figures);
      return all.reduce((sum, one) => sum + one, 0) === calls.length;
    };
    await until('all of them are open', opened, 60_000);
    assert.deepEqual(await mesh.problems(), []);
    void mesh.stop();
    const wanted = CLIENTS.flatMap(({ name }) =>
      SERVERS.map((server) => `${name} ${server.name} ["drain",[${GOING_AWAY},""]]`),
    );
    const all = await Promise.all(calls);
    assert.deepEqual(
      all.map((line) => line.replaceAll(', ', ',')),
      wanted,
    );
  });
});
