/** `call.mjs CLIENT ORIGIN [CALL]`: makes the calls of the interop tests with one client, and prints what it got as JSON lines. */

import { createHash } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { callWeb } from './grpc-web-client.mjs';
import { callInterop } from './interop-client.mjs';
import { interopServices } from './interop-proto.mjs';
import { runStreams } from './streams-client.mjs';
import { callAll as callWebSockets } from './websocket.mjs';

const [name, origin, only] = process.argv.slice(2);
const require = createRequire(`${process.env.MODULES}/`);
const load = async (module) => {
  const loaded = await import(pathToFileURL(require.resolve(module)).href);
  return loaded.default ?? loaded;
};
const BODY = Buffer.alloc(204_800, Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
const CALLS = [
  'GET /plain',
  'HEAD /plain',
  'GET /large',
  'GET /stream',
  'GET /empty',
  'GET /not-modified',
  'GET /few-cookies',
  'GET /redirect',
  'GET /broken',
  'GET /missing',
  'POST /echo',
  'GET /plain',
];
const KEPT = new Set(['content-type', 'etag', 'location', 'set-cookie', 'x-page']);

function tell(call, status, fields, body) {
  const lower = new Set(fields.map((field) => field.toLowerCase()));
  const names = [...KEPT].filter((field) => lower.has(field));
  const sha = createHash('sha256').update(body).digest('hex');
  process.stdout.write(
    `${JSON.stringify({ call, status, fields: names, bytes: body.length, sha })}\n`,
  );
}

const CLIENTS = {
  async node() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    return (method, path) =>
      new Promise((resolve, reject) => {
        const request = http.request(origin + path, { method, agent }, (response) => {
          const chunks = [];
          response.on('data', (chunk) => chunks.push(chunk)).on('error', reject);
          response.on('end', () =>
            resolve([response.statusCode, Object.keys(response.headers), Buffer.concat(chunks)]),
          );
        });
        request.on('error', reject).end(method === 'POST' ? BODY : undefined);
      });
  },
  async http2() {
    const session = http2.connect(origin);
    return (method, path) =>
      new Promise((resolve, reject) => {
        const stream = session.request({ ':method': method, ':path': path });
        const chunks = [];
        let head = {};
        stream.on('response', (fields) => (head = fields));
        stream.on('data', (chunk) => chunks.push(chunk)).on('error', reject);
        stream.on('end', () =>
          resolve([head[':status'], Object.keys(head), Buffer.concat(chunks)]),
        );
        stream.end(method === 'POST' ? BODY : undefined);
      });
  },
  async fetch() {
    return async (method, path) => {
      // A stream has no length: chunked.
      const body =
        method === 'POST' ? { body: Readable.toWeb(Readable.from([BODY])), duplex: 'half' } : {};
      const response = await fetch(origin + path, { method, redirect: 'manual', ...body });
      return [
        response.status,
        [...response.headers.keys()],
        Buffer.from(await response.arrayBuffer()),
      ];
    };
  },
  async undici() {
    const { request } = await load('undici');
    return async (method, path) => {
      const response = await request(origin + path, {
        method,
        body: method === 'POST' ? BODY : null,
      });
      return [
        response.statusCode,
        Object.keys(response.headers),
        Buffer.from(await response.body.arrayBuffer()),
      ];
    };
  },
  async axios() {
    const axios = await load('axios');
    const client = axios.create({
      validateStatus: () => true,
      maxRedirects: 0,
      responseType: 'arraybuffer',
      httpAgent: new http.Agent({ keepAlive: true }),
    });
    return async (method, path) => {
      const response = await client.request({
        url: origin + path,
        method,
        data: method === 'POST' ? BODY : undefined,
      });
      return [response.status, Object.keys(response.headers), Buffer.from(response.data)];
    };
  },
  async got() {
    const got = await load('got');
    const client = got.extend({
      throwHttpErrors: false,
      followRedirect: false,
      retry: { limit: 0 },
      responseType: 'buffer',
      agent: { http: new http.Agent({ keepAlive: true }) },
    });
    return async (method, path) => {
      const response = await client(origin + path, {
        method,
        ...(method === 'POST' ? { body: BODY } : {}),
      });
      return [response.statusCode, Object.keys(response.headers), response.rawBody];
    };
  },
  async superagent() {
    const superagent = await load('superagent');
    const agent = new http.Agent({ keepAlive: true });
    return async (method, path) => {
      const request = superagent(method, origin + path)
        .agent(agent)
        .redirects(0)
        .ok(() => true)
        .buffer(true)
        .parse((response, done) => {
          const chunks = [];
          response
            .on('data', (chunk) => chunks.push(Buffer.from(chunk)))
            .on('end', () => done(null, Buffer.concat(chunks)));
        });
      const response = await (method === 'POST'
        ? request.type('application/octet-stream').send(BODY)
        : request);
      return [
        response.status,
        Object.keys(response.headers),
        Buffer.isBuffer(response.body) ? response.body : Buffer.alloc(0),
      ];
    };
  },
  async needle() {
    const needle = await load('needle');
    return async (method, path) => {
      const response = await needle(
        method.toLowerCase(),
        origin + path,
        method === 'POST' ? BODY : null,
        { parse: false, content_type: 'application/octet-stream' },
      );
      return [response.statusCode, Object.keys(response.headers), response.raw];
    };
  },
};

if (name === 'grpc') {
  await (
    await import('./grpc.mjs')
  ).callAll(await load('@grpc/grpc-js'), new URL(origin).host, only);
  process.exit(0);
}
if (name === 'grpc-interop' || name === 'grpc-streams') {
  const grpc = await load('@grpc/grpc-js');
  const services = interopServices(grpc, await load('@grpc/proto-loader'));
  const { host } = new URL(origin);
  if (name === 'grpc-streams') await runStreams(grpc, services, host);
  else await callInterop(grpc, services, host, only);
  process.exit(0);
}
const WEB = ['connect-web', 'grpc-web-text', 'grpc-web-binary'];
if (WEB.includes(name)) {
  await callWeb(name, origin, load);
  process.exit(0);
}
if (name === 'ws' || name === 'ws-http2') {
  await callWebSockets(await load('ws'), origin, name === 'ws' ? 1 : 2, only);
  process.exit(0);
}
const call = await CLIENTS[name]();
for (const each of CALLS) {
  const [method, path] = each.split(' ');
  tell(each, ...(await call(method, path)));
}
process.exit(0);
