import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';

import { skipWithoutPrograms } from '../../test/support/programs.ts';
import { maesh } from './maesh.fixture.ts';

async function listen(
  handler: RequestListener,
  host: string,
): Promise<{ port: number; close: () => void }> {
  const server = createServer(handler);
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { port: address.port, close: () => server.close() };
}

suite('against a running admin API', { skip: skipWithoutPrograms('curl') }, () => {
  let env: Record<string, string>;
  let origin: string;
  let closeAll: (() => void)[] = [];

  before(async () => {
    const web = await listen((request, response) => {
      const { remoteAddress } = request.socket;
      response.end(JSON.stringify([remoteAddress, request.headers.host, request.url]));
    }, '127.77.0.1');
    const snapshot = {
      version: 3,
      services: [service('shop', 'web', '127.77.0.1', web.port), service('core', 'dark', '', 80)],
      identities: [
        { address: '127.1.0.5', namespace: 'shop', pod: 'client' },
        { address: '192.0.2.7', namespace: 'shop', pod: 'far' },
      ],
    };
    const admin = await listen((request, response) => {
      response.statusCode = request.url === '/api/snapshot' ? 200 : 404;
      response.end(JSON.stringify(snapshot));
    }, '127.0.0.1');
    env = { MAESH_ADMIN: `127.0.0.1:${admin.port}` };
    origin = `http://web.shop.maesh:${web.port}`;
    closeAll = [web.close, admin.close];
  });
  after(() => {
    for (const close of closeAll) close();
  });

  test('maesh curl leads mesh names to their Service, Host field unchanged', async () => {
    const host = origin.slice(7);
    const { code, out } = await maesh(['curl', '-sS', `${origin}/a?b`], env);
    assert.deepEqual([code, JSON.parse(out)], [0, ['127.0.0.1', host, '/a?b']]);
    const other = await maesh(
      ['curl', '-sS', origin.replace('shop.maesh', 'SHOP.Traefik.Mesh')],
      env,
    );
    assert.equal(other.code, 0);
  });

  test('maesh curl --from sends from the address of the pod', async () => {
    for (const args of [
      ['--from', 'shop/client', '-sS', origin],
      ['-sS', origin, '--from=shop/client'],
    ]) {
      const { code, out } = await maesh(['curl', ...args], env);
      assert.deepEqual([code, JSON.parse(out)[0]], [0, '127.1.0.5']);
    }
  });

  test('maesh curl goes past a proxy of the environment', async () => {
    const { code } = await maesh(['curl', '-sS', origin], {
      ...env,
      http_proxy: 'http://127.0.0.1:9',
    });
    assert.equal(code, 0);
  });

  test('maesh curl passes the exit code of curl through', async () => {
    const { code, err } = await maesh(['curl', '-sS', '--no-such-option', origin], env);
    assert.equal(code, 2);
    assert.match(err, /^curl: option --no-such-option/);
    const refused = await maesh(['curl', '-sS', 'http://127.0.0.1:9/'], env);
    assert.equal(refused.code, 7);
  });

  test('maesh curl says what is wrong and what to do', async () => {
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [
        ['http://wbe.shop.maesh/'],
        1,
        /^maesh: Cannot find "wbe\.shop\.maesh": .*did you mean "web\.shop\.maesh"\?$/,
      ],
      [['http://shop.maesh/'], 1, /"maesh hosts" lists the names$/],
      [['http://dark.core.maesh/'], 1, /^maesh: Cannot find "dark\.core\.maesh"/],
      [
        ['http://web.shop.maesh:1/'],
        1,
        /^maesh: Cannot reach port 1 of "web\.shop\.maesh": the Service has \d+ \(http\)$/,
      ],
      [
        ['--from', 'shop/clinet', origin],
        1,
        /^maesh: Cannot send from pod "shop\/clinet": .*did you mean "shop\/client"\?$/,
      ],
      [['--from', 'x', origin], 1, /the mesh knows 2 pods, give one as namespace\/pod$/],
      [
        ['--from', 'shop/far', origin],
        1,
        /its address "192\.0\.2\.7" is not one of this machine; give the Pod a status\.podIP/,
      ],
      [
        ['--admin', 'http://127.0.0.1:9', origin],
        1,
        /^maesh: Cannot ask the mesh at "http:\/\/127\.0\.0\.1:9": nothing listens there; is "maesh up" running\?/,
      ],
      [['--admin', 'ftp://x', origin], 2, /^maesh: Cannot use "ftp:\/\/x" for --admin: give a URL/],
      [['-f', origin], 2, /-f means manifests here; write --fail/],
      [[], 2, /^maesh: Cannot run curl without a URL/],
    ];
    for (const [args, code, pattern] of cases) {
      const result = await maesh(['curl', ...args], env);
      assert.deepEqual([result.code, result.out], [code, ''], args.join(' '));
      assert.match(result.err.trimEnd(), pattern);
    }
  });

  test('maesh curl says when curl is missing', async (context) => {
    // Only what bin/maesh itself needs.
    const folder = mkdtempSync(join(tmpdir(), 'maesh-'));
    context.after(() => rmSync(folder, { recursive: true }));
    const where = execFileSync('sh', ['-c', 'command -v dirname'], { encoding: 'utf8' });
    symlinkSync(where.trim(), join(folder, 'dirname'));
    const result = await maesh(['curl', origin], { ...env, PATH: folder });
    assert.equal(result.code, 1);
    assert.match(
      result.err,
      /^maesh: Cannot find curl: install it, or resolve the names yourself with "maesh hosts"\n$/,
    );
  });

  test('maesh hosts prints the names of every Service that has an address', async () => {
    const text = await maesh(['hosts'], env);
    assert.deepEqual(
      [text.code, text.out],
      [0, '127.77.0.1 web.shop.maesh web.shop.traefik.mesh\n'],
    );
    const json = await maesh(['hosts', '-o', 'json', '--domain', 'one', '--domain', 'two'], env);
    assert.deepEqual(JSON.parse(json.out), [
      { address: '127.77.0.1', names: ['web.shop.one', 'web.shop.two'] },
    ]);
  });
});

test('maesh hosts does not trust what answers at the admin address', async (context) => {
  let body = 'not json';
  let status = 200;
  const admin = await listen((_, response) => {
    response.statusCode = status;
    response.end(body);
  }, '127.0.0.1');
  context.after(admin.close);
  const url = `http://127.0.0.1:${admin.port}`;
  for (const wrong of ['not json', '[]', '{"services":[{}],"identities":[]}', 'null']) {
    body = wrong;
    const { code, err } = await maesh(['hosts', '--admin', url]);
    assert.equal(code, 1, wrong);
    assert.match(
      err,
      /^maesh: Cannot ask the mesh at "http[^"]+": .+; is "maesh up" running\?[^\n]*\n$/,
    );
  }
  status = 503;
  const { err } = await maesh(['hosts', '--admin', url]);
  assert.match(err, /it answers with status 503/);
});

function service(namespace: string, name: string, address: string, port: number): object {
  return {
    key: `${namespace}/${name}`,
    namespace,
    name,
    address,
    ports: [{ name: '', port, protocol: 'http' }],
  };
}
