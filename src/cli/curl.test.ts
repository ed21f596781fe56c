import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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
        ['https://web.shop.maesh/'],
        1,
        /^maesh: Cannot reach port 443 .*; use http:\/\/, or the port that has a certificate$/,
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
        /^maesh: Cannot query the mesh at "http:\/\/127\.0\.0\.1:9": nothing listens there; is "maesh up" running\?/,
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
      /^maesh: Cannot find curl: install it \(apt-get, dnf or apk have a package "curl"\), or .*"maesh hosts".*\n$/,
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

suite('names that are not in the arguments', { skip: skipWithoutPrograms('curl') }, () => {
  let env: Record<string, string>;
  let port: number;
  let closeAll: (() => void)[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'maesh-'));

  before(async () => {
    const web = await listen((request, response) => {
      if (request.url === '/moved') {
        response.writeHead(302, { location: `http://cart.shop.maesh:${port}/there` });
      }
      response.end(`web ${request.socket.remoteAddress}\n`);
    }, '127.77.1.1');
    ({ port } = web);
    const cart = createServer((request, response) => {
      response.end(`cart ${request.socket.remoteAddress}\n`);
    });
    cart.listen(port, '127.77.1.2');
    await once(cart, 'listening');
    const many = Array.from({ length: 5_000 }, (_, i) =>
      service('many', `s${i}`, `127.77.${100 + (i >> 8)}.${i & 255}`, 80),
    );
    const snapshot = {
      version: 1,
      services: [
        service('shop', 'web', '127.77.1.1', port),
        service('shop', 'cart', '127.77.1.2', port),
        ...many,
      ],
      identities: [{ address: '127.1.0.5', namespace: 'shop', pod: 'client' }],
    };
    const admin = await listen((_, response) => {
      response.end(JSON.stringify(snapshot));
    }, '127.0.0.1');
    env = { MAESH_ADMIN: `127.0.0.1:${admin.port}` };
    closeAll = [web.close, admin.close, () => cart.close()];
  });
  after(() => {
    for (const close of closeAll) close();
    rmSync(folder, { recursive: true });
  });

  const curl = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await maesh(['curl', ...args], env);
    assert.equal(code, 0, err);
    return out;
  };

  test('maesh curl follows a redirect to another mesh name', async () => {
    assert.equal(await curl('-sSL', `http://web.shop.maesh:${port}/moved`), 'cart 127.0.0.1\n');
  });

  test('maesh curl resolves names after --next, from the same pod', async () => {
    const urls = ['web', 'cart'].map((name) => `http://${name}.shop.maesh:${port}/`);
    const out = await curl('--from', 'shop/client', '-sS', urls[0]!, '--next', '-sS', urls[1]!);
    assert.equal(out, 'web 127.1.0.5\ncart 127.1.0.5\n');
  });

  test('maesh curl resolves names of globs and of the files of --config', async () => {
    const glob = await curl('-sS', `http://{web,cart}.shop.maesh:${port}/`);
    assert.equal(glob.replaceAll(/--_curl_--.*\n/g, ''), 'web 127.0.0.1\ncart 127.0.0.1\n');
    const file = join(folder, 'urls');
    const urls = ['web.shop.maesh', 'cart.shop.traefik.mesh'].map(
      (host) => `url = "http://${host}:${port}/"\n`,
    );
    writeFileSync(file, urls.join('next\n'));
    assert.equal(await curl('-sS', '-K', file), 'web 127.0.0.1\ncart 127.0.0.1\n');
  });

  test('maesh curl keeps -q in its place', async () => {
    assert.equal(await curl('-q', '-sS', `http://web.shop.maesh:${port}/`), 'web 127.0.0.1\n');
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
      /^maesh: Cannot query the mesh at "http[^"]+": .+; is "maesh up" running\?[^\n]*\n$/,
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
