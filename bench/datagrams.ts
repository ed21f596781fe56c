/**
 * Datagrams as processes on the load core: an endpoint that sends each one back, and callers that each send the next one when
 * they have their answer. Both on our own sockets: with those of the runtime they would be the limit.
 */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { DEFAULT_PROXY_SETTINGS } from '../src/model/settings.ts';
import { openSockets } from '../src/proxy/net/open-sockets.ts';
import type { Sockets } from '../src/proxy/net/socket.ts';
import { shareMarks } from '../src/proxy/net/system/thread-marks.ts';
import { freePorts } from '../test/support/ports.ts';
import type { Child } from './children.ts';
import { Histogram } from './histogram.ts';
import type { Lab } from './lab.ts';
import type { LoadTarget } from './load-connection.ts';
import { upstreamAddresses, type Upstream } from './upstream.ts';
import type { WrkResult } from './workload.ts';

/** Of each datagram, in both directions: as a question about a name. */
const DATAGRAM_BYTES = 64;
const CALLERS = 64;
/** One that is not answered by then is lost, and its caller goes on. */
const LOST_MS = 500;

export async function startDatagramUpstream(lab: Lab, endpoints: number): Promise<Upstream> {
  const [port = 0] = await freePorts(1);
  const addresses = upstreamAddresses(endpoints);
  const child = runSelf(lab, `datagrams-${port}`, ['echo', `${port}`, ...addresses]);
  for (const host of addresses) await untilEchoes({ host, port, child, timeoutMs: 5_000 });
  return {
    addresses,
    port,
    version: 'http1',
    transport: 'udp',
    pids: [child.pid],
    stop: () => child.stop(),
  };
}

/** As many datagrams as fit, one in flight for each caller. */
export async function datagrams(lab: Lab, target: LoadTarget, seconds: number): Promise<WrkResult> {
  const { host, port } = target;
  const child = runSelf(lab, `callers-${host}-${port}`, ['load', host, `${port}`, `${seconds}`]);
  const code = await child.exited;
  if (code !== 0) throw new Error(`The callers ended with ${code}: ${child.tail()}`);
  const result: WrkResult = JSON.parse(child.output());
  return result;
}

function runSelf(lab: Lab, name: string, args: readonly string[]): Child {
  const self = fileURLToPath(import.meta.url);
  const flags = ['--no-warnings', '--max-inlined-bytecode-size-cumulative=2000'];
  return lab.children.spawn({
    name,
    core: lab.loadCore,
    command: process.execPath,
    args: [...flags, self, ...args],
  });
}

export interface Awaited {
  readonly host: string;
  readonly port: number;
  readonly child: Child;
  readonly timeoutMs: number;
}

/** Resolves with `performance.now()` when a datagram came back. */
export async function untilEchoes({ host, port, child, timeoutMs }: Awaited): Promise<number> {
  const giveUp = performance.now() + timeoutMs;
  const socket = createSocket('udp4');
  socket.on('error', () => undefined);
  const answered = once(socket, 'message').then(() => true);
  try {
    for (;;) {
      socket.send('?', port, host);
      const wait = new Promise<false>((resolve) => setTimeout(() => resolve(false), 20));
      if (await Promise.race([answered, wait])) return performance.now();
      if (!child.isRunning() || performance.now() > giveUp)
        throw new Error(`No datagram comes back from ${host}:${port}: ${child.tail()}`);
    }
  } finally {
    socket.close();
  }
}

async function echo(sockets: Sockets, port: number, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    const listener = await sockets.listenDatagrams(
      { address, port },
      {
        onDatagram: (data, length, peer) => listener.send(peer, data, 0, length),
        onError: () => undefined,
        onDefect: fail,
      },
    );
  }
}

async function load(sockets: Sockets, target: LoadTarget, seconds: number): Promise<WrkResult> {
  const data = Buffer.alloc(DATAGRAM_BYTES, 'x');
  const latencies = new Histogram();
  const sentAt = new Float64Array(CALLERS);
  let failed = 0;
  const callers = Array.from({ length: CALLERS }, (_, i) => {
    const send = (): void => {
      sentAt[i] = performance.now();
      socket.send(data, 0, DATAGRAM_BYTES);
    };
    const socket = sockets.dialDatagrams(
      { address: target.host, port: target.port },
      {
        onDatagram: () => {
          latencies.record((performance.now() - (sentAt[i] as number)) * 1_000);
          send();
        },
        onError: () => failed++,
        onFailed: fail,
        onDefect: fail,
      },
    );
    return send;
  });
  const startedAt = performance.now();
  for (const send of callers) send();
  const lost = setInterval(() => {
    const now = performance.now();
    for (const [i, send] of callers.entries()) {
      if (now - (sentAt[i] as number) < LOST_MS) continue;
      failed++;
      send();
    }
  }, LOST_MS);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  clearInterval(lost);
  return {
    requests: latencies.count + failed,
    seconds: (performance.now() - startedAt) / 1_000,
    failed,
    p50Micros: latencies.quantile(0.5),
    p99Micros: latencies.quantile(0.99),
  };
}

function fail(error: unknown): never {
  process.stderr.write(`${JSON.stringify(error)} ${String(error)}\n`);
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , what, ...rest] = process.argv;
  const { sockets } = openSockets({ ...DEFAULT_PROXY_SETTINGS, sockets: 'system' }, shareMarks());
  if (what === 'echo') await echo(sockets, Number(rest[0]), rest.slice(1));
  else {
    const [host = '', port, seconds] = rest;
    const target = { host, port: Number(port), path: '', headers: '' };
    const result = await load(sockets, target, Number(seconds));
    process.stdout.write(JSON.stringify(result), () => process.exit(0));
  }
}
