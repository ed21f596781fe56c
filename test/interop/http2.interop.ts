/** Real servers and clients of HTTP/2, through the mesh and directly: what a caller gets must be the same, whatever both sides speak. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import { after, before, describe, test } from 'node:test';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { freePorts } from '../support/ports.ts';
import { SKIP_GO } from './go-tools.ts';
import { type Language, lacks, run, runClient, ServerProcess, SKIP } from './tools.ts';

/** With the version of HTTP that its endpoints speak to the mesh. */
const SERVERS: readonly (readonly [Language, string, 1 | 2])[] = [
  ['node', 'http2', 2],
  ['node', 'fastify-http2', 2],
  ['python', 'hypercorn', 2],
  ['python', 'granian', 2],
  ['go', 'net-http', 2],
  ['node', 'node', 1],
  ['python', 'gunicorn-gthread', 1],
  ['python', 'uvicorn-httptools', 1],
  ['python', 'tornado', 1],
];
const CLIENTS: readonly (readonly [Language, string])[] = [
  ['node', 'http2'],
  ['python', 'httpx-http2'],
  ['go', 'net-http'],
];
/** Each page, and the status that it must have. */
const PAGES: readonly (readonly [string, number])[] = [
  ['GET /plain', 200],
  ['HEAD /plain', 200],
  ['GET /large', 200],
  ['GET /stream', 200],
  ['HEAD /stream', 200],
  ['GET /empty', 204],
  ['GET /not-modified', 304],
  ['GET /few-cookies', 200],
  ['GET /redirect', 302],
  ['GET /broken', 500],
  ['GET /missing', 404],
  ['POST /echo', 200],
];
const BODY = Buffer.alloc(300_000, 'interop ');
const CURL: readonly string[] = [
  '-sS',
  '--http2-prior-knowledge',
  '--max-time',
  '30',
  '-w',
  '%{http_version} %{http_code} %{size_download}',
];
/** What belongs to a connection, or is made anew by each hop. */
const OF_A_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'date']);

interface Got {
  readonly status: number;
  readonly fields: readonly string[];
  readonly sha: string;
}

type Ask = (line: string, body?: Buffer) => Promise<Got>;

const skip = (language: Language): string | false => (language === 'go' ? SKIP_GO : false);

describe('real servers and clients of HTTP/2', { skip: SKIP }, () => {
  const folder = new Folder();
  const servers = new Map<string, { address: string; port: number }>();
  let port = 0;
  let mesh: Mesh;

  before(async () => {
    const [own = 0, ...ports] = await freePorts(SERVERS.length + 1);
    port = own;
    const objects: object[] = [];
    for (const [index, [, name, version]] of SERVERS.entries()) {
      const at = { address: `127.84.24.${index + 1}`, port: ports[index] ?? 0 };
      servers.set(name, at);
      const appProtocol = version === 2 ? 'kubernetes.io/h2c' : 'http';
      const spec = { ports: [{ name: 'http', port, targetPort: at.port, appProtocol }] };
      objects.push(service(`interop/${name}`, port, { spec }), endpoints(`interop/${name}`, [at]));
    }
    folder.put('all.yaml', ...objects);
    mesh = await Mesh.start({ paths: [folder.path], cidr: '127.84.25.0/24' });
  });

  after(async () => {
    await mesh?.stop();
    folder.remove();
  });

  /** Starts the server; its own origin, and the one through the mesh. */
  async function origins(t: Owner, language: Language, name: string): Promise<[string, string]> {
    const at = servers.get(name) ?? assert.fail();
    const server = await ServerProcess.start(language, name, at);
    t.after(() => server.stop());
    const address = await mesh.addressOf(`interop/${name}`);
    return [`http://${at.address}:${at.port}`, `http://${address}:${port}`];
  }

  for (const [language, name, version] of SERVERS) {
    test(
      `${name}, an endpoint of HTTP/${version}, answers callers of both versions as without the mesh`,
      {
        skip: skip(language),
      },
      async (t) => {
        const [direct, through] = await origins(t, language, name);
        const callers = [
          version === 2 ? askerOf2(t, direct) : askerOf1(t, direct),
          askerOf2(t, through),
          askerOf1(t, through),
        ];
        for (const [page, status] of PAGES) {
          // oxlint-disable-next-line no-await-in-loop -- on one connection each
          const [wanted, two, one] = await Promise.all(callers.map((ask) => ask(page)));
          assert.equal(wanted?.status, status, page);
          assert.deepEqual(two, wanted, `${page}, HTTP/2`);
          assert.deepEqual(one, wanted, `${page}, HTTP/1.1`);
        }
        // The body is not read: an answer before the end of a request, which ends the stream only.
        const refused = await askerOf2(t, through)('POST /refuse');
        assert.equal(refused.status, 413);
      },
    );
  }

  for (const [language, name] of [
    ['node', 'http2'],
    ['node', 'node'],
  ] as const) {
    test(`${name}: many callers of both versions at once, and each gets its own body back`, async (t) => {
      const [, through] = await origins(t, language, name);
      const askers = [
        askerOf2(t, through),
        askerOf1(t, through, 10),
        askerOf2(t, through),
        askerOf1(t, through, 10),
      ];
      const bodies = Array.from({ length: 200 }, (_, i) =>
        Buffer.alloc(((i * 7_919) % 90_000) + 1, `body ${i}, `),
      );
      const all = await Promise.all(
        bodies.map((body, i) => (askers[i % askers.length] ?? assert.fail())('POST /echo', body)),
      );
      const wanted = bodies.map((body) => createHash('sha256').update(body).digest('hex'));
      assert.deepEqual(
        all.map(({ sha }) => sha),
        wanted,
      );
    });
  }

  for (const [language, name] of CLIENTS) {
    test(
      `${name} (${language}) gets the same through the mesh`,
      {
        skip: skip(language),
      },
      async (t) => {
        const [direct, through] = await origins(t, 'node', 'http2');
        const wanted = await runClient(language, name, direct);
        assert.deepEqual(await runClient(language, name, through), wanted);
        assert.equal(wanted.length, 12);
      },
    );
  }

  test('curl: twenty at once', { skip: lacks('curl') }, async (t) => {
    const [, through] = await origins(t, 'node', 'http2');
    // One page each: curl 7.88 breaks a connection of HTTP/2 that it uses again, with any server.
    const pages = [
      ['plain', '2 200 5'],
      ['large', '2 200 307200'],
      ['stream', '2 200 1750'],
      ['missing', '2 404 12'],
    ] as const;
    const all = Array.from({ length: 20 }, (_, i) => pages[i % pages.length] ?? pages[0]);
    const said = await Promise.all(
      all.map(([page]) => run('curl', [...CURL, '-o', '/dev/null', `${through}/${page}`])),
    );
    assert.deepEqual(
      said,
      all.map(([, wanted]) => wanted),
    );
  });

  test('curl: an upload comes back as it was', { skip: lacks('curl') }, async (t) => {
    const [, through] = await origins(t, 'node', 'http2');
    const file = folder.write('curl-upload', 'an upload '.repeat(500_000));
    const back = `${folder.path}/curl-back`;
    const upload = ['--data-binary', `@${file}`, '-o', back];
    assert.equal(await run('curl', [...CURL, ...upload, `${through}/echo`]), '2 200 5000000');
    assert.ok(readFileSync(file).equals(readFileSync(back)));
  });

  test('nghttp: an upload comes back as it was', { skip: lacks('nghttp') }, async (t) => {
    const [, through] = await origins(t, 'node', 'http2');
    const text = 'an upload '.repeat(100_000);
    const file = folder.write('nghttp-upload', text);
    const said = await run('nghttp', [
      '-t',
      '30',
      '-d',
      file,
      '-H',
      ':method: POST',
      `${through}/echo`,
    ]);
    assert.ok(said === text, `${said.length} bytes came back`);
  });

  test('h2load: 2000 requests on 4 connections', { skip: lacks('h2load') }, async (t) => {
    const [, through] = await origins(t, 'node', 'http2');
    const said = await run('h2load', ['-n', '2000', '-c', '4', '-m', '50', `${through}/plain`]);
    assert.match(said, /2000 succeeded, 0 failed, 0 errored, 0 timeout/);
    assert.match(said, /2000 2xx, 0 3xx, 0 4xx, 0 5xx/);
    assert.deepEqual(await mesh.problems(), []);
  });
});

interface Owner {
  after(end: () => unknown): void;
}

function askerOf2(t: Owner, origin: string): Ask {
  const session = http2.connect(origin);
  // Its streams say so, too.
  session.on('error', () => {});
  t.after(() => session.destroy());
  return (line, content = BODY) => {
    const [method = '', path = ''] = line.split(' ');
    return new Promise((resolve, reject) => {
      const body = method === 'POST' ? content : undefined;
      // Fastify reads no body without a length.
      const length = body === undefined ? {} : { 'content-length': body.length };
      const stream = session.request({ ':method': method, ':path': path, ...length });
      const hash = createHash('sha256');
      let status = 0;
      let fields: string[] = [];
      stream.on('response', (head, _flags, raw: string[] = []) => {
        status = Number(head[':status']);
        fields = fieldsOf(status, raw);
      });
      stream.on('data', (chunk: Buffer) => hash.update(chunk));
      stream.on('end', () => resolve({ status, fields, sha: hash.digest('hex') }));
      stream.on('error', reject);
      stream.setTimeout(20_000, () => stream.destroy(new Error(`no answer to ${line} in 20 s`)));
      stream.end(body);
    });
  };
}

function askerOf1(t: Owner, origin: string, maxSockets = 1): Ask {
  const agent = new http.Agent({ keepAlive: true, maxSockets });
  t.after(() => agent.destroy());
  return (line, content = BODY) => {
    const [method = '', path = ''] = line.split(' ');
    return new Promise((resolve, reject) => {
      const request = http.request(`${origin}${path}`, { method, agent }, (response) => {
        const hash = createHash('sha256');
        response.on('data', (chunk: Buffer) => hash.update(chunk)).on('error', reject);
        response.on('end', () => {
          const status = response.statusCode ?? 0;
          const fields = fieldsOf(status, response.rawHeaders);
          resolve({ status, fields, sha: hash.digest('hex') });
        });
      });
      request.setTimeout(20_000, () => request.destroy(new Error(`no answer to ${line} in 20 s`)));
      request.on('error', reject);
      request.end(method === 'POST' ? content : undefined);
    });
  };
}

function fieldsOf(status: number, raw: readonly string[]): string[] {
  const fields: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    // RFC 9110 §8.6: a 204 must not have one.
    if (status === 204 && name === 'content-length') continue;
    if (!name.startsWith(':') && !OF_A_HOP.has(name)) fields.push(`${name}: ${raw[i + 1]}`);
  }
  return fields.toSorted();
}
