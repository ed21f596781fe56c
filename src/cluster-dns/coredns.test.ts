/** The real CoreDNS with what we write: it forwards, leaves the rest alone, and takes the change without a restart. */

import net from 'node:net';
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
  mkdirSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { decode, encode, type DecodedPacket, type RecordType, type SoaAnswer } from 'dns-packet';

import { insertBlock, removeBlock } from './marked-block.ts';
import { serverLines } from './server-block.ts';

const CACHE = process.env['MAESH_CACHE'] ?? join(homedir(), '.cache', 'maesh');
const NAMES = existsSync(CACHE) ? readdirSync(CACHE) : [];
const NAME = NAMES.filter((name) => /^coredns(-[\d.]+)?$/.test(name))
  .sort()
  .at(-1);
const BINARY = join(CACHE, NAME ?? 'coredns');
const SKIP = NAME === undefined ? `no CoreDNS in ${CACHE}` : false;
const MESH = '127.0.0.53';

interface Answer {
  readonly rcode: string;
  /** Least of all records, 0 without any. */
  readonly ttl: number;
  readonly addresses: readonly string[];
}

/** Answers `web.shop.DOMAIN` with 10.0.0.7, and NXDOMAIN for the rest, both for a minute. */
async function startMeshDns(context: TestContext): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => {
    const query = decode(message);
    const [question] = query.questions ?? [];
    if (question === undefined) return;
    asked.push(question.name);
    const isKnown = question.name.startsWith('web.shop.');
    const answer = encode({
      type: 'response',
      id: query.id ?? 0,
      // Authoritative, and NXDOMAIN for what is not known.
      flags: 0x0400 | (isKnown ? 0 : 3),
      questions: [question],
      authorities: isKnown ? [] : [soaOf(question.name)],
      answers: isKnown ? [{ type: 'A', name: question.name, ttl: 60, data: '10.0.0.7' }] : [],
    });
    socket.send(answer, from.port, from.address);
  });
  socket.bind(0, MESH);
  await once(socket, 'listening');
  context.after(() => socket.close());
  return { port: socket.address().port, asked };
}

function soaOf(name: string): SoaAnswer {
  const zone = name.endsWith('traefik.mesh') ? 'traefik.mesh' : 'maesh';
  const times = { serial: 1, refresh: 60, retry: 60, expire: 60, minimum: 60 };
  const data = { mname: `ns.${zone}`, rname: `hostmaster.${zone}`, ...times };
  return { type: 'SOA', name: zone, ttl: 60, data };
}

/** CoreDNS listens on UDP and TCP, so the port must be free for both. */
async function freePort(): Promise<number> {
  const tcp = net.createServer().listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address() as net.AddressInfo;
  const udp = createSocket('udp4');
  udp.bind(port, '127.0.0.1');
  const isFree = await Promise.race([
    once(udp, 'listening').then(() => true),
    once(udp, 'error').then(() => false),
  ]);
  if (isFree) udp.close();
  tcp.close();
  await once(tcp, 'close');
  return isFree ? port : freePort();
}

/** Asks until there is an answer to exactly this query; CoreDNS may not listen yet. */
async function ask(port: number, name: string, type: RecordType = 'A'): Promise<Answer> {
  const socket: Socket = createSocket('udp4');
  try {
    const query = encode({ type: 'query', id: 9, flags: 0x0100, questions: [{ name, type }] });
    socket.on('error', () => undefined);
    for (let attempt = 0; attempt < 100; attempt++) {
      socket.send(query, port, '127.0.0.1');
      const timeout = AbortSignal.timeout(200);
      const [message] = (await once(socket, 'message', { signal: timeout }).catch(() => [])) as [
        Buffer?,
      ];
      if (message === undefined) continue;
      const packet = decode(message) as DecodedPacket & { rcode: string };
      const { answers = [], authorities = [], rcode } = packet;
      const ttls = [...answers, ...authorities].map((record) =>
        'ttl' in record ? (record.ttl ?? 0) : 0,
      );
      return {
        rcode,
        ttl: Math.min(...(ttls.length === 0 ? [0] : ttls)),
        addresses: answers.flatMap((record) => (record.type === 'A' ? [record.data] : [])),
      };
    }
    throw new Error(`no answer for ${name}`);
  } finally {
    socket.close();
  }
}

/** As the kubelet does it: the file is replaced whole. */
function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

interface Running {
  readonly process: ChildProcess;
  /** Resolves when the log has had `pattern` as often as this. */
  readonly logged: (pattern: RegExp, times: number) => Promise<void>;
}

function startCoreDns(context: TestContext, folder: string): Running {
  const child = spawn(BINARY, ['-conf', 'Corefile'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  const waiting = new Set<() => void>();
  const onText = (chunk: Buffer): void => {
    log += chunk.toString();
    for (const check of waiting) check();
  };
  child.stdout.on('data', onText);
  child.stderr.on('data', onText);
  const exited = once(child, 'exit');
  context.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const logged = (pattern: RegExp, times: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const timeout = AbortSignal.timeout(30_000);
      timeout.addEventListener('abort', () => reject(new Error(`${pattern} not in: ${log}`)));
      const check = (): void => {
        if ([...log.matchAll(new RegExp(pattern, 'g'))].length < times) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  return { process: child, logged };
}

function makeFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'maesh-coredns-'));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function baseCorefile(port: number, more = ''): string {
  return `.:${port} {
    bind 127.0.0.1
    errors
    hosts {
        192.0.2.1 plain.example
    }
    reload 2s 1s
}
${more}`;
}

/** `serverLines()` takes port 53 of the mesh for granted; the test has another. */
function linesFor(port: number, meshPort: number): readonly string[] {
  const listener = { port: String(port), binds: ['127.0.0.1'] };
  return serverLines(['maesh', 'traefik.mesh'], [`${MESH}:${meshPort}`], listener);
}

async function assertForwards(port: number): Promise<void> {
  for (const name of ['web.shop.maesh', 'web.shop.traefik.mesh']) {
    const answer = await ask(port, name);
    assert.deepEqual([answer.rcode, answer.addresses], ['NOERROR', ['10.0.0.7']]);
  }
  assert.equal((await ask(port, 'nobody.shop.maesh')).rcode, 'NXDOMAIN');
}

test(
  'CoreDNS takes our block in its Corefile by reload, forwards mesh names only, and forgets it again',
  { skip: SKIP },
  async (context) => {
    const folder = makeFolder(context);
    const mesh = await startMeshDns(context);
    const port = await freePort();
    const file = join(folder, 'Corefile');
    // Without the last line feed, where a block that is glued on would break the file.
    const original = baseCorefile(port).trimEnd();
    writeFileSync(file, original);
    const coreDns = startCoreDns(context, folder);
    assert.deepEqual((await ask(port, 'plain.example')).addresses, ['192.0.2.1']);
    assert.notEqual((await ask(port, 'web.shop.maesh')).rcode, 'NOERROR');
    const changed = insertBlock(original, linesFor(port, mesh.port), ['maesh', 'traefik.mesh']);
    replaceFile(file, changed);
    await coreDns.logged(/Reloading complete/, 1);
    await assertForwards(port);
    const { length } = mesh.asked;
    assert.deepEqual((await ask(port, 'plain.example')).addresses, ['192.0.2.1']);
    assert.equal(mesh.asked.length, length);
    const restored = removeBlock(changed);
    assert.equal(restored, original);
    replaceFile(file, restored ?? '');
    await coreDns.logged(/Reloading complete/, 2);
    assert.notEqual((await ask(port, 'web.shop.maesh')).rcode, 'NOERROR');
    assert.equal(coreDns.process.exitCode, null);
  },
);

test(
  'CoreDNS takes our imported file by reload, and a missing one before that',
  { skip: SKIP },
  async (context) => {
    const folder = makeFolder(context);
    const mesh = await startMeshDns(context);
    const port = await freePort();
    mkdirSync(join(folder, 'custom'));
    writeFileSync(join(folder, 'Corefile'), baseCorefile(port, 'import custom/*.server\n'));
    const coreDns = startCoreDns(context, folder);
    assert.deepEqual((await ask(port, 'plain.example')).addresses, ['192.0.2.1']);
    const text = insertBlock(null, linesFor(port, mesh.port), ['maesh', 'traefik.mesh']);
    replaceFile(join(folder, 'custom', 'maesh-dns.server'), text);
    await coreDns.logged(/Reloading complete/, 1);
    await assertForwards(port);
  },
);

test(
  'CoreDNS keeps an answer for five seconds and an absence for two, whatever the answer says',
  { skip: SKIP },
  async (context) => {
    const folder = makeFolder(context);
    const mesh = await startMeshDns(context);
    const port = await freePort();
    const lines = linesFor(port, mesh.port);
    writeFileSync(join(folder, 'Corefile'), insertBlock(baseCorefile(port), lines, ['maesh']));
    startCoreDns(context, folder);
    const { ttl } = await ask(port, 'web.shop.maesh');
    assert.ok(ttl > 0 && ttl <= 5, String(ttl));
    const absent = await ask(port, 'nobody.shop.maesh');
    assert.equal(absent.rcode, 'NXDOMAIN');
    assert.ok(absent.ttl > 0 && absent.ttl <= 2, String(absent.ttl));
  },
);

test('CoreDNS takes both addresses of a dual-stack cluster', { skip: SKIP }, async (context) => {
  const folder = makeFolder(context);
  const port = await freePort();
  const listener = { port: String(port), binds: ['127.0.0.1'] };
  const lines = serverLines(['maesh'], ['127.0.0.53', 'fd00::53'], listener);
  writeFileSync(join(folder, 'Corefile'), insertBlock(baseCorefile(port), lines, ['maesh']));
  startCoreDns(context, folder);
  assert.deepEqual((await ask(port, 'plain.example')).addresses, ['192.0.2.1']);
});
