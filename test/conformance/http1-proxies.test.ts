/** What nginx and HAProxy let through to an endpoint, against what we would: where they are installed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { readStream, type SeenRequest, type SeenStream } from '../support/http1.ts';
import { freePorts } from '../support/ports.ts';
import { skipWithoutPrograms } from '../support/programs.ts';
import { connection } from './http1-cases.ts';
import { Disagreements } from './http1-listed.ts';

const CASES = 2400;
/** Connections under way at a time, each through a port of its own to an upstream of its own. */
const LANES = 8;
/** Sent after each case, so that a proxy that accepts all of it closes the connection. */
const LAST = Buffer.from('GET /last HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n');
const START_MS_MAX = 10_000;

interface Proxy {
  readonly name: string;
  readonly command: 'nginx' | 'haproxy';
  readonly args: (file: string, folder: string) => string[];
  readonly config: (folder: string, lanes: readonly Lane[]) => string;
}

interface Lane {
  readonly port: number;
  readonly upstream: Upstream;
}

const NGINX: Proxy = {
  name: 'nginx',
  command: 'nginx',
  args: (file, folder) => ['-p', folder, '-c', file, '-e', 'stderr'],
  config: (folder, lanes) => `
daemon off; master_process off; pid ${folder}/pid; error_log stderr crit;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c; uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
  client_header_timeout 300ms; client_body_timeout 300ms; keepalive_timeout 300ms; lingering_close off; reset_timedout_connection on;
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_request_buffering off;
  ${lanes.map(({ port, upstream }) => `server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${upstream.port}; } }`).join('\n  ')}
}
`,
};

const HAPROXY: Proxy = {
  name: 'HAProxy',
  command: 'haproxy',
  args: (file) => ['-db', '-f', file],
  config: (_, lanes) => `
global
  nbthread 1
defaults
  mode http
  http-reuse never
  timeout connect 2s
  timeout server 2s
  timeout client 300ms
  timeout http-request 300ms
  timeout http-keep-alive 300ms
${lanes.map(({ port, upstream }) => `listen lane-${port}\n  bind 127.0.0.1:${port}\n  server s 127.0.0.1:${upstream.port}`).join('\n')}
`,
};

/** Answers every request with 200 and keeps what it was sent. */
class Upstream {
  port = 0;
  seen: SeenRequest[] = [];
  /** A rule that what the proxy sent on breaks in our eyes, or ''. */
  broken = '';
  readonly #server = net.createServer((socket) => this.#serve(socket));
  readonly #sockets = new Set<net.Socket>();

  async open(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as net.AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  clear(): void {
    this.seen = [];
    this.broken = '';
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: net.Socket): void {
    let bytes: Buffer = Buffer.alloc(0);
    let answered = 0;
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (piece: Buffer) => {
      bytes = Buffer.concat([bytes, piece]);
      const { requests, outcome, rule } = readStream(bytes);
      if (outcome === 'refused') this.broken = rule;
      for (const request of requests.slice(answered)) {
        answered++;
        this.seen.push(request);
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      }
      if (outcome === 'refused') socket.destroy();
    });
  }
}

/** Sends bytes, reads until the other side closes. */
function send(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve());
    socket.resume();
    socket.write(bytes);
  });
}

async function isOpen(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  return await new Promise((resolve) => {
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** Names the disagreement, or '' when the upstream gets what it would get from us. */
function disagreement(ours: SeenStream, upstream: Upstream, bytes: Buffer): string {
  const theirs = upstream.seen;
  for (const [i, seen] of theirs.slice(0, ours.requests.length).entries()) {
    const part = difference(ours.requests[i]!, seen);
    if (part !== '') return `differs: ${part}`;
  }
  if (theirs.length > ours.requests.length)
    return ours.outcome === 'refused'
      ? `we refuse: ${ours.rule}`
      : `it goes on when we are ${ours.outcome}`;
  if (theirs.length < ours.requests.length) {
    return upstream.broken === ''
      ? `it refuses: ${featureOf(ours.requests[theirs.length]!, bytes)}`
      : `it passes on what breaks ${upstream.broken}`;
  }
  return '';
}

function difference(ours: SeenRequest, theirs: SeenRequest): string {
  if (ours.method !== theirs.method) return 'method';
  if (ours.target !== theirs.target) return 'target';
  if (ours.host !== theirs.host && ours.host !== '') return 'host';
  if (ours.body !== theirs.body) return 'body';
  const values = (request: SeenRequest): string =>
    request.fields
      .filter(([name]) => /^(x-a|cookie|accept)$/iu.test(name))
      .map(([name, value]) => `${name.toLowerCase()}:${value}`)
      .join();
  return values(ours) === values(theirs) ? '' : 'fields';
}

/** What is unusual in a request that we accept and another proxy does not. */
function featureOf(request: SeenRequest, bytes: Buffer): string {
  const value = (name: string): string =>
    request.fields.find(([other]) => other.toLowerCase() === name)?.[1] ?? '';
  const isDots = /^\.+$/u.test(request.host);
  const isRaw = /%[89A-F][0-9A-F]/u.test(request.target);
  const tests: readonly (readonly [string, boolean])[] = [
    ['host of dots only and a raw byte', isDots && isRaw],
    ['TRACE', request.method === 'TRACE'],
    ['PRI', request.method === 'PRI'],
    ['empty Host', request.host === ''],
    ['host of dots only', isDots],
    ['raw byte in the target', isRaw],
    ['Expect in two fields', request.fields.filter(([name]) => /^expect$/iu.test(name)).length > 1],
    ['method', !/^[A-Z]{3,16}$/u.test(request.method)],
    ['authority unlike Host', request.absolute],
    ['upgrade', value('upgrade') === 'websocket'],
    ['body in HTTP/1.0', bytes.includes('HTTP/1.0') && request.body !== ''],
    ['tab beside a value', bytes.includes('\t\r\n') || bytes.includes(':\t')],
    ['trailers', /^0+\r\n[\w-]+:/mu.test(bytes.toString('latin1'))],
    ['target character', /[`{}|\\^[\]]/u.test(request.target)],
  ];
  return tests.find(([, holds]) => holds)?.[0] ?? 'other';
}

function against(proxy: Proxy): void {
  describe(`what ${proxy.name} passes on`, { skip: skipWithoutPrograms(proxy.command) }, () => {
    const lanes: Lane[] = [];
    let folder = '';
    let child: ChildProcess;

    before(async () => {
      folder = mkdtempSync(path.join(tmpdir(), 'maesh-conformance-'));
      for (const port of await freePorts(LANES)) {
        const upstream = new Upstream();
        await upstream.open();
        lanes.push({ port, upstream });
      }
      const file = path.join(folder, 'config');
      writeFileSync(file, proxy.config(folder, lanes));
      let complaints = '';
      child = spawn(proxy.command, proxy.args(file, folder), {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      child.stderr!.on('data', (text: Buffer) => {
        if (complaints.length < 4000) complaints += text.toString();
      });
      const start = performance.now();
      while (!(await isOpen(lanes[0]!.port))) {
        assert.equal(child.exitCode, null, `${proxy.name} ended: ${complaints}`);
        assert.ok(
          performance.now() - start < START_MS_MAX,
          `${proxy.name} does not listen: ${complaints}`,
        );
        await new Promise((resolve) => setImmediate(resolve));
      }
    });

    after(async () => {
      if (child.exitCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      for (const { upstream } of lanes) await upstream.close();
      rmSync(folder, { recursive: true, force: true });
    });

    it(`is what we would pass on, for ${CASES} connections but for what is listed`, async () => {
      const random = seededRandom(7);
      const cases: { bytes: Buffer; ours: SeenStream }[] = [];
      while (cases.length < CASES) {
        const bytes = connection(random);
        const ours = readStream(Buffer.concat([bytes, LAST]));
        // Of a message that never ends each proxy passes on as much as it likes.
        if (ours.outcome !== 'incomplete') cases.push({ bytes, ours });
      }
      const disagreements = new Disagreements();
      let agreed = 0;
      let next = 0;
      await Promise.all(
        lanes.map(async ({ port, upstream }) => {
          while (next < cases.length) {
            const { bytes, ours } = cases[next++]!;
            upstream.clear();
            await send(port, Buffer.concat([bytes, LAST]));
            const name = disagreement(ours, upstream, bytes);
            if (name === '') agreed++;
            else disagreements.add(name, bytes);
          }
        }),
      );
      disagreements.check(`Against ${proxy.name}`, false);
      assert.ok(agreed > CASES * 0.6, `only ${agreed} agreements`);
    });
  });
}

against(NGINX);
against(HAPROXY);
