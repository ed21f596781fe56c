/**
 * Real servers and clients, each through the mesh and directly: what a caller gets must be the same. `npm run interop`.
 * Only what a proxy must change may differ: fields of the connection, Date, Via-like ones of servers.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import http from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { freePorts } from '../support/ports.ts';
import { type Language, runClient, ServerProcess, SKIP } from './tools.ts';

const SERVERS: readonly (readonly [Language, string])[] = [
  ['node', 'node'],
  ['node', 'express'],
  ['node', 'fastify'],
  ['node', 'koa'],
  ['node', 'hapi'],
  ['node', 'polka'],
  ['python', 'stdlib'],
  ['python', 'wsgiref'],
  ['python', 'waitress'],
  ['python', 'cheroot'],
  ['python', 'werkzeug'],
  ['python', 'tornado'],
  ['python', 'aiohttp'],
  ['python', 'gunicorn-sync'],
  ['python', 'gunicorn-gthread'],
  ['python', 'uvicorn-h11'],
  ['python', 'uvicorn-httptools'],
  ['python', 'hypercorn'],
  ['python', 'daphne'],
  ['python', 'granian'],
];
const CLIENTS: readonly (readonly [Language, string])[] = [
  ['node', 'node'],
  ['node', 'fetch'],
  ['node', 'undici'],
  ['node', 'axios'],
  ['node', 'got'],
  ['node', 'superagent'],
  ['node', 'needle'],
  ['python', 'http.client'],
  ['python', 'requests'],
  ['python', 'urllib3'],
  ['python', 'httpx'],
  ['python', 'aiohttp'],
];
/** Each page, and the status that it must have: two servers that both fail are not the same. */
const PAGES: readonly (readonly [string, number])[] = [
  ['GET /plain', 200],
  ['HEAD /plain', 200],
  ['GET /large', 200],
  ['GET /stream', 200],
  ['HEAD /stream', 200],
  ['GET /empty', 204],
  ['GET /not-modified', 304],
  ['GET /cookies', 200],
  ['GET /redirect', 302],
  ['GET /broken', 500],
  ['GET /missing', 404],
  ['POST /echo', 200],
  ['GET /plain', 200],
];
const BODY = Buffer.alloc(200_000, 'interop ');
/** What GET /stream sends. */
const STREAM = [0, 1, 2, 3, 4].map((i) => `part ${i}\n`.repeat(50)).join('');
const REFUSALS = 10;
const MESH_PORT = 8080;
/** What belongs to a connection, or is made anew by each hop. */
const OF_A_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'date']);

interface Got {
  readonly status: number;
  readonly fields: readonly string[];
  readonly bytes: number;
  readonly sha: string;
}

interface Target {
  readonly host: string;
  readonly port: number;
  readonly agent: http.Agent;
}

function ask(target: Target, line: string, body: Buffer | null = null): Promise<Got> {
  const [method = '', path = ''] = line.split(' ');
  return new Promise((resolve, reject) => {
    const headers = body === null ? {} : { 'Content-Length': body.length };
    const request = http.request({ ...target, method, path, headers }, (response) => {
      const hash = createHash('sha256');
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        hash.update(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        resolve({
          status,
          fields: fieldsOf(status, response.rawHeaders),
          bytes,
          sha: hash.digest('hex'),
        });
      });
    });
    request.setTimeout(20_000, () => request.destroy(new Error('no answer in 20 s')));
    request.on('error', reject);
    request.end(body ?? undefined);
  });
}

/** Body of a stream as an HTTP/1.0 caller gets it, whose end is the close, and how long that took. */
function stream10({
  host,
  port,
}: Omit<Target, 'agent'>): Promise<{ body: string; tookMs: number }> {
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    let text = '';
    const socket = connect(port, host, () => {
      socket.write(`GET /stream HTTP/1.0\r\nHost: ${host}\r\n\r\n`);
    });
    socket.setTimeout(20_000, () => socket.destroy(new Error('no end in 20 s')));
    socket.setEncoding('latin1').on('data', (part: string) => (text += part));
    socket.on('error', reject);
    socket.on('end', () => {
      const body = text.slice(text.indexOf('\r\n\r\n') + 4);
      resolve({ body, tookMs: performance.now() - startMs });
    });
  });
}

function fieldsOf(status: number, raw: readonly string[]): string[] {
  const fields: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    // RFC 9110 §8.6: a 204 must not have one; wsgiref sends it all the same.
    if (status === 204 && name === 'content-length') continue;
    if (!OF_A_HOP.has(name)) fields.push(`${name}: ${raw[i + 1]}`);
  }
  return fields.toSorted();
}

/** How often a body that is not read gets its 413; a reset before it is no answer. */
async function refusals(target: Omit<Target, 'agent'>): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let i = 0; i < REFUSALS; i++) {
    const agent = new http.Agent();
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const outcome = await ask({ ...target, agent }, 'POST /refuse', BODY).then(
      ({ status }) => String(status),
      (error: NodeJS.ErrnoException) => error.code ?? error.message,
    );
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  return counts;
}

describe('real servers and clients', { skip: SKIP }, () => {
  const folder = new Folder();
  const servers = new Map<string, { address: string; port: number }>();
  let mesh: Mesh;

  before(async () => {
    const ports = await freePorts(SERVERS.length);
    const objects: object[] = [];
    for (const [index, [, name]] of SERVERS.entries()) {
      const at = { address: `127.1.95.${index + 1}`, port: ports[index] ?? 0 };
      servers.set(name, at);
      objects.push(service(`interop/${name}`, MESH_PORT), endpoints(`interop/${name}`, [at]));
    }
    folder.put('all.yaml', ...objects);
    mesh = await Mesh.start({ paths: [folder.path], cidr: '127.95.0.0/24' });
  });

  after(async () => {
    await mesh?.stop();
    folder.remove();
  });

  for (const [language, name] of SERVERS) {
    test(`${name} answers the same through the mesh`, async (t) => {
      const at = servers.get(name) ?? assert.fail();
      const server = await ServerProcess.start(language, name, at);
      t.after(() => server.stop());
      const agents = [1, 2].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
      t.after(() => agents.forEach((agent) => agent.destroy()));
      const [own, other] = agents as [http.Agent, http.Agent];
      const direct = { host: at.address, port: at.port };
      const through = { host: await mesh.addressOf(`interop/${name}`), port: MESH_PORT };
      for (const [page, status] of PAGES) {
        const body = page.startsWith('POST') ? BODY : null;
        // oxlint-disable-next-line no-await-in-loop -- on one connection
        const wanted = await ask({ ...direct, agent: own }, page, body).catch(
          (error: Error) => error,
        );
        // oxlint-disable-next-line no-await-in-loop -- on one connection
        const got = await ask({ ...through, agent: other }, page, body);
        assert.equal(got.status, status, page);
        if (wanted instanceof Error) {
          // waitress ends a chunked body that an answer to HEAD does not have: what is behind an answer never leaves the mesh.
          assert.ok(page.startsWith('HEAD') && got.status === 200, `${page}: ${wanted.message}`);
          t.diagnostic(`${page} is broken without the mesh: ${wanted.message}`);
        } else assert.deepEqual(got, wanted, page);
      }
      const [plain, proxied] = [await stream10(direct), await stream10(through)];
      // Some servers send chunks to callers that do not know them; the mesh does not.
      assert.equal(proxied.body, STREAM, 'HTTP/1.0');
      t.diagnostic(`HTTP/1.0 stream: ${plain.tookMs.toFixed(0)}, ${proxied.tookMs.toFixed(0)} ms`);
      assert.ok(proxied.tookMs < plain.tookMs + 4_000, 'HTTP/1.0 stream ends late');
      const wanted = await refusals(direct);
      const got = await refusals(through);
      const told = `directly ${JSON.stringify([...wanted])}, through the mesh ${JSON.stringify([...got])}`;
      assert.equal(got.get('502'), undefined, told);
      assert.ok((got.get('413') ?? 0) >= (wanted.get('413') ?? 0), told);
    });
  }

  for (const [language, name] of CLIENTS) {
    test(`${name} (${language}) gets the same through the mesh`, async (t) => {
      const at = servers.get('node') ?? assert.fail();
      const server = await ServerProcess.start('node', 'node', at);
      t.after(() => server.stop());
      const address = await mesh.addressOf('interop/node');
      const wanted = await runClient(language, name, `http://${at.address}:${at.port}`);
      const got = await runClient(language, name, `http://${address}:${MESH_PORT}`);
      assert.deepEqual(got, wanted);
      assert.equal(wanted.length, 12);
    });
  }
});
