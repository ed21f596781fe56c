/** `serve.mjs SERVER HOST PORT`: serves pages.mjs with one of many servers until it is ended. MODULES is where they are installed. */

import http from 'node:http';
import http2 from 'node:http2';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { interopServices } from './interop-proto.mjs';
import { serveInterop } from './interop-server.mjs';
import { listener, page, PARTS } from './pages.mjs';
import { serve as serveWebSockets } from './websocket.mjs';

const TEST_SERVICE = 'grpc.testing.TestService';
const [name, host, portText] = process.argv.slice(2);
const port = Number(portText);
const require = createRequire(`${process.env.MODULES}/`);
const load = async (module) => {
  const loaded = await import(pathToFileURL(require.resolve(module)).href);
  return loaded.default ?? loaded;
};

const SERVERS = {
  node: () => http.createServer(listener).listen(port, host),
  http2: () => http2.createServer(listener).listen(port, host),
  async grpc() {
    await (await import('./grpc.mjs')).serve(await load('@grpc/grpc-js'), host, port);
  },
  async 'grpc-interop'() {
    const grpc = await load('@grpc/grpc-js');
    const services = interopServices(grpc, await load('@grpc/proto-loader'));
    const { HealthImplementation } = await load('grpc-health-check');
    const health = new HealthImplementation({ '': 'SERVING', [TEST_SERVICE]: 'SERVING' });
    let isServing = true;
    process.on('SIGUSR2', () => {
      isServing = !isServing;
      health.setStatus(TEST_SERVICE, isServing ? 'SERVING' : 'NOT_SERVING');
    });
    await serveInterop(grpc, { ...services, health }, host, port);
  },
  async express() {
    const app = (await load('express'))();
    app.disable('x-powered-by');
    app.use(listener);
    app.listen(port, host);
  },
  async polka() {
    (await load('polka'))().use(listener).listen(port, host);
  },
  'fastify-http2': () => SERVERS.fastify({ http2: true }),
  async fastify(options = {}) {
    const app = (await load('fastify'))({ bodyLimit: 100_000_000, ...options });
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    );
    app.post('/echo', (request, reply) => {
      reply.header('x-page', 'plain').type('text/plain').send(request.body);
    });
    app.route({
      method: ['GET', 'HEAD'],
      url: '/*',
      exposeHeadRoute: false,
      handler(request, reply) {
        const [status, fields, body] = page(request.url);
        reply
          .code(status)
          .headers(fields)
          .send(body === null ? Readable.from(PARTS, { objectMode: false }) : body);
      },
    });
    app.addHook('onRequest', (request, reply, done) => {
      if (request.url === '/refuse')
        reply.code(413).header('connection', 'close').type('text/plain').send('too large');
      else done();
    });
    await app.listen({ port, host });
  },
  async koa() {
    const app = new (await load('koa'))();
    app.use(async (context) => {
      if (context.method === 'POST' && context.path === '/refuse') {
        context.set('Connection', 'close');
        context.status = 413;
        context.body = 'too large';
        return;
      }
      if (context.method === 'POST') {
        const chunks = [];
        for await (const chunk of context.req) chunks.push(chunk);
        context.set({ 'X-Page': 'plain' });
        context.type = 'text/plain';
        context.body = Buffer.concat(chunks);
        return;
      }
      const [status, fields, body] = page(context.path);
      context.body = body === null ? Readable.from(PARTS, { objectMode: false }) : body;
      context.status = status;
      context.set(fields);
    });
    app.listen(port, host);
  },
  async hapi() {
    const Hapi = await load('@hapi/hapi');
    const server = Hapi.server({ port, host });
    server.route({
      method: '*',
      path: '/{any*}',
      options: { payload: undefined },
      handler(request, toolkit) {
        const [status, fields, body] = page(request.path);
        const response = toolkit
          .response(body === null ? Readable.from(PARTS, { objectMode: false }) : body)
          .code(status);
        for (const [key, value] of Object.entries(fields)) {
          for (const one of [value].flat())
            response.header(key, one, { append: key === 'Set-Cookie' });
        }
        return response;
      },
    });
    server.route({
      method: 'POST',
      path: '/echo',
      options: { payload: { parse: false, output: 'data', maxBytes: 100_000_000 } },
      handler: (request, toolkit) =>
        toolkit.response(request.payload).type('text/plain').header('X-Page', 'plain'),
    });
    server.route({
      method: 'POST',
      path: '/refuse',
      options: { payload: { maxBytes: 1_000 } },
      handler: () => 'small enough',
    });
    await server.start();
  },
  ws: async () => serveWebSockets(await load('ws'), host, port, 1),
  'ws-http2': async () => serveWebSockets(await load('ws'), host, port, 2),
};

await SERVERS[name]();
