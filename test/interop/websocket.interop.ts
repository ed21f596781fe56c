/** Real servers and clients of WebSocket, through the mesh and directly: each must get the same, whatever version of HTTP is on either side. */

import assert from 'node:assert/strict';
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
    await until('all of them are open', opened, 20_000);
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
