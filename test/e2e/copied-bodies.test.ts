/** Where the kernel does not splice, long bodies are copied, and the log says so. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call } from './support/call.ts';
import { EndpointServer } from './support/endpoint.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { ownRange } from '../support/ranges.ts';
import { Mesh } from './support/mesh.ts';
import { until } from './support/until.ts';

const REFUSE = new URL('./support/refuse-splice.ts', import.meta.url).href;
const BODY = 'maesh '.repeat(200_000);
const skip = process.platform === 'linux' ? false : 'only Linux splices';

async function start(
  t: { after(run: () => unknown): void },
  number: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Mesh> {
  const server = await EndpointServer.start('web', `127.1.88.${number}`, (_, response) => {
    response.setHeader('content-length', BODY.length).end(BODY);
  });
  const folder = new Folder();
  folder.put('all.yaml', service('s/web', 20_061), endpoints('s/web', [server]));
  const flags = ['--sockets', 'system'];
  const mesh = await Mesh.start({
    paths: [folder.path],
    cidr: ownRange().cidr,
    threads: 2,
    flags,
    env,
  });
  t.after(async () => {
    await mesh.stop();
    server.stop();
    folder.remove();
  });
  const { body } = await call({ address: await mesh.addressOf('s/web'), port: 20_061 });
  assert.equal(body, BODY);
  return mesh;
}

test(
  'a kernel that refuses to splice is told of once for all threads, and bodies are copied',
  { skip },
  async (t) => {
    const mesh = await start(t, 1, { NODE_OPTIONS: `--import=${REFUSE}` });
    const lines = mesh.stderr.split('\n').filter((line) => line.includes('Long bodies are copied'));
    assert.equal(lines.length, 1, mesh.stderr);
    assert.match(lines[0] ?? '', /WARN.*splice of nothing gave EBADF/);
  },
);

test('a kernel that splices is not told of', { skip }, async (t) => {
  const mesh = await start(t, 2);
  assert.doesNotMatch(mesh.stderr, /copied/);
  await until('it splices', async () => (await mesh.metric('maesh_spliced_bytes_total')) > 0);
});
