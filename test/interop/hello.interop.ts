/** Routes by what callers of TLS say first, with clients and servers of Go's crypto/tls. */

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { isIP } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { ClientHello } from '../../src/proxy/hello/client-hello.ts';
import { HelloReader } from '../../src/proxy/hello/hello-reader.ts';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { freePorts } from '../support/ports.ts';
import { ownRange } from '../support/ranges.ts';
import { buildGo } from './go-tools.ts';
import { places } from './tcp-servers.ts';

const { folder: built, skip } = buildGo('hello');
const HELLO = `${built}/hello`;
/** Of each hello. */
const MUTANTS = 100;
/** A key of X25519MLKEM768 alone has as many. */
const POST_QUANTUM_BYTES = 1_200;

type Json = Readonly<Record<string, unknown>>;

function linesOf(printed: string): Json[] {
  return printed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Json);
}

async function hello(...args: readonly string[]): Promise<Json[]> {
  const { stdout } = await promisify(execFile)(HELLO, args, { maxBuffer: 1 << 24 });
  return linesOf(stdout);
}

/** What the server of Go sees in each of them; null where it sees nothing. */
async function goReads(all: readonly Buffer[]): Promise<(ClientHello | null)[]> {
  const child = spawn(HELLO, ['parse'], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(all.map((each) => `${each.toString('hex')}\n`).join(''));
  const plain = (hex: string): string => Buffer.from(hex, 'hex').toString('latin1');
  return linesOf(await text(child.stdout)).map((seen) => {
    if ('error' in seen) return null;
    const name = plain(seen['serverName'] as string);
    return {
      serverName: isIP(name) === 0 ? name.toLowerCase() : '',
      protocols: (seen['protocols'] as string[]).map(plain),
    };
  });
}

/** Null where the mesh would reset it, or wait for more. */
function weRead(bytes: Buffer, step = bytes.length): ClientHello | null {
  const reader = new HelloReader();
  for (let at = 0; at < bytes.length; at += step)
    reader.push(bytes, at, Math.min(at + step, bytes.length));
  return reader.hello;
}

test(
  'the mesh and the server of Go see the same in what clients of Go say, as it is and changed',
  { skip },
  async (t) => {
    const said = await hello('say');
    const all = said.map((each) => Buffer.from(each['hello'] as string, 'hex'));
    assert.ok(all.length >= 15);
    assert.ok((all[0]?.length ?? 0) > POST_QUANTUM_BYTES);
    const ofGo = await goReads(all);
    for (const [i, bytes] of all.entries()) {
      const name = String(said[i]?.['name']);
      assert.ok(ofGo[i] !== null, name);
      for (const step of [1, 3, 100, bytes.length])
        assert.deepEqual(weRead(bytes, step), ofGo[i], `${name}, ${step} bytes at a time`);
    }
    let seed = 11;
    const next = (): number => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff) >>> 8;
    const mutants = all.flatMap((bytes) =>
      Array.from({ length: MUTANTS }, () => {
        const changed = Buffer.from(bytes);
        // Most fields stand at the beginning.
        for (let i = next() % 3; i >= 0; i--)
          changed[next() % (next() % 2 === 0 ? 300 : bytes.length)] = next() & 0xff;
        return changed.subarray(0, bytes.length);
      }),
    );
    const seen = await goReads(mutants);
    let both = 0;
    for (const [i, bytes] of mutants.entries()) {
      const [theirs = null, ours] = [seen[i], weRead(bytes)];
      if (theirs === null || ours === null) continue;
      both++;
      assert.deepEqual(ours, theirs, bytes.toString('hex'));
    }
    t.diagnostic(`${both} of ${mutants.length} changed ones were read by both`);
    assert.ok(both > MUTANTS);
  },
);

/** Which server each client must reach, and what it must have agreed on with that; the rest is as for the first one. */
const EXPECTED: Readonly<Record<string, Json>> = {
  'as it is': {},
  'TLS 1.0': { version: 'TLS 1.0', key: 'X25519' },
  'TLS 1.1': { version: 'TLS 1.1', key: 'X25519' },
  'TLS 1.2': { version: 'TLS 1.2', key: 'X25519' },
  'TLS 1.3': {},
  'without post-quantum keys': { key: 'X25519' },
  'with protocols': { server: 'b', protocol: 'h2' },
  'in capitals': { server: 'b' },
  'to an address': { server: 'b' },
  'one byte in each record': { server: 'b' },
  '100 bytes in each record': {},
  'one byte in each write': {},
  'seven bytes in each write, in records of three': { server: 'b' },
  'asked for another key': { server: 'b', key: 'CurveP521' },
  'first of a session': {},
  'second of a session': { resumed: true },
  // By the outer name: the inner one would lead elsewhere.
  'with an encrypted hello': { server: 'b', encrypted: true },
};

test('clients of Go reach the server that they ask for, and verify it', { skip }, async (t) => {
  const [a, b] = await places(2);
  const [port = 0] = await freePorts(1);
  assert(a !== undefined && b !== undefined);
  const routes = [
    { match: 'HostSNI(`a.example`) || HostSNI(`inner.example`)', to: [{ service: 'a' }] },
    { match: 'HostSNI(`*`)', to: [{ service: 'b' }] },
  ];
  const spec = { ports: [{ name: 'http', port, appProtocol: 'tls' }] };
  const annotations = { 'maesh.dev/routes': JSON.stringify(routes) };
  const folder = new Folder();
  folder.put(
    'all.yaml',
    service('interop/called', port, { spec, annotations }),
    ...[a, b].flatMap((at, i) => {
      const key = `interop/${'ab'[i]}`;
      return [service(key, port, { spec }), endpoints(key, [at])];
    }),
  );
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
  t.after(async () => {
    await mesh.stop('SIGKILL');
    folder.remove();
  });
  const called = `${await mesh.addressOf('interop/called')}:${port}`;
  const got = await hello('call', called, ...[a, b].map((at) => `${at.address}:${at.port}`));
  const usual = {
    server: 'a',
    version: 'TLS 1.3',
    protocol: '',
    key: 'X25519MLKEM768',
    resumed: false,
    encrypted: false,
  };
  const wanted = Object.entries(EXPECTED).map(([name, each]) => ({ ...usual, name, ...each }));
  assert.deepEqual(got, wanted);
});
