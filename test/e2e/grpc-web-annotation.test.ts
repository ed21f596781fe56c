/** The annotation of gRPC-Web through `maesh up`, right and wrong: what cannot be read opens nothing, also not the half that could be. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, test, type TestContext } from 'node:test';
import { callWeb, frame, unpack, VERSIONS, WEB_CALL } from '../support/grpc-web.ts';
import { ownRange } from '../support/ranges.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { Mesh, type ProblemJson } from './support/mesh.ts';
import { until } from './support/until.ts';

const APP = 'https://app.example';
const [PORT, OTHER] = [20_096, 20_097];
const folder = new Folder();
const sessions = new Set<http2.ServerHttp2Session>();
const server = http2.createServer();
let mesh: Mesh;
let address = '';

/** Says in its one message which content type it got. */
server.on('stream', (stream: http2.ServerHttp2Stream, fields) => {
  stream.on('error', () => {});
  stream.resume();
  stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': 0 }));
  stream.end(frame(String(fields['content-type'])));
});
server.on('session', (session) => sessions.add(session));

/** The annotation of the Service, and that of its second port. */
function put(ofService: string | null, ofPort: string | null = null): void {
  const named = { 'maesh.dev/grpc-web': ofService, [`maesh.dev/port.${OTHER}.grpc-web`]: ofPort };
  const annotations = Object.fromEntries(
    Object.entries(named).filter(([, value]) => value !== null),
  );
  const ports = [PORT, OTHER].map((port) => ({ name: `grpc-${port}`, port, appProtocol: 'grpc' }));
  const { port } = server.address() as AddressInfo;
  const [subset] = endpoints('shop/web', [{ address: '127.0.0.1', port }]).subsets;
  folder.put('web.yaml', service('shop/web', PORT, { annotations, spec: { ports } }), {
    ...endpoints('shop/web', []),
    subsets: [{ ...subset, ports: ports.map(({ name }) => ({ name, port })) }],
  });
}

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  put(APP);
  // One thread: what one call meets, the next one meets, too.
  mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 1 });
  address = await mesh.addressOf('shop/web');
});

after(async () => {
  await mesh.stop();
  for (const session of sessions) session.destroy();
  server.close();
  folder.remove();
});

/**
 * What becomes of a call: the content type that the Pod got and the origin that may read the answer, or the status that a page is told
 * in place of one.
 */
async function call(t: TestContext, port: number, origin: string): Promise<string> {
  const fields = origin === '' ? WEB_CALL : { ...WEB_CALL, origin };
  const answers = VERSIONS.map(async (version) => {
    const answer = await callWeb(t, version, { address, port }, { fields, body: frame('x') });
    const { messages } = unpack(answer.content, false);
    const may = answer.fields['access-control-allow-origin'] ?? 'nobody';
    return `${messages[0] ?? answer.fields['grpc-status']}, read by ${may}`;
  });
  const [first = '', second] = await Promise.all(answers);
  assert.equal(first, second, 'both versions of HTTP');
  return first;
}

async function ask(t: TestContext, port: number): Promise<number> {
  const fields = {
    origin: APP,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'content-type',
  };
  const to = { address, port };
  const answer = await callWeb(t, 'HTTP/1.1', to, { fields, body: '', method: 'OPTIONS' });
  return answer.status;
}

/** The problem of a value, once the mesh has read it. */
function problemOf(value: string): Promise<ProblemJson> {
  return until(`the problem of ${value}`, async () =>
    (await mesh.problems()).find((each) => each.value === value),
  );
}

const TRANSLATED = `application/grpc+proto, read by ${APP}`;
const NO_PAGE = 'application/grpc+proto, read by nobody';
const DENIED = '7, read by nobody';

test('an annotation that can be read opens its ports to the pages that it names', async (t) => {
  for (const port of [PORT, OTHER]) {
    // oxlint-disable no-await-in-loop -- one after the other
    assert.equal(await call(t, port, APP), TRANSLATED);
    assert.equal(await call(t, port, 'https://shop.example'), DENIED);
    assert.equal(await ask(t, port), 204);
    // oxlint-enable no-await-in-loop
  }
});

// The last one looks like a list, of which each page of the first half would be one to let in.
for (const value of ['app.example', 'https://*.example', `${APP}, https://shop.example/cart`])
  test(`no page may call while it is "${value}", and a problem says so`, async (t) => {
    put(value);
    const { severity, object, field, remedy } = await problemOf(value);
    assert.deepEqual(
      [severity, object, field],
      ['error', 'Service shop/web', 'metadata.annotations["maesh.dev/grpc-web"]'],
    );
    assert.match(remedy, /until then no page may call/i);
    for (const port of [PORT, OTHER]) {
      // oxlint-disable no-await-in-loop -- one after the other
      await until('no page may call', async () => (await ask(t, port)) === 403);
      assert.equal(await call(t, port, APP), DENIED);
      assert.equal(await call(t, port, ''), NO_PAGE, 'others may, as before');
      // oxlint-enable no-await-in-loop
    }
  });

test('a wrong one of a port closes that port alone, and none lifts it there', async (t) => {
  put(APP, 'app.example');
  await problemOf('app.example');
  await until('the other port is open', async () => (await ask(t, PORT)) === 204);
  await until('the port is closed', async () => (await ask(t, OTHER)) === 403);
  assert.equal(await call(t, PORT, APP), TRANSLATED);
  assert.equal(await call(t, OTHER, APP), DENIED);
  put(APP, 'none');
  const asItCame = 'application/grpc-web+proto, read by nobody';
  await until('it is lifted', async () => (await call(t, OTHER, APP)) === asItCame);
  assert.equal(await call(t, PORT, APP), TRANSLATED);
  await until('nothing is wrong', async () => (await mesh.problems()).length === 0);
});
