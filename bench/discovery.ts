/**
 * The discovery stream under load: one controller, many agents, real TLS and the real protocol, in processes of their own. Agents
 * are simulated in that they throw away what they have decompressed and parsed.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { memoryUsage } from 'node:process';
import { setImmediate } from 'node:timers/promises';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { silentLog } from '../src/base/log.ts';
import { systemRandom } from '../src/base/random.ts';
import { FLAG, FRAME_TYPE, type Frame } from '../src/discovery/frame.ts';
import { CAPABILITIES, FORMATS, helloFrame } from '../src/discovery/hello.ts';
import { acknowledgeFrame } from '../src/discovery/message.ts';
import { PAYLOAD_BYTES_MAX, readPayload } from '../src/discovery/payload.ts';
import { DiscoveryServer } from '../src/discovery/server.ts';
import { delta, makeCertificate, service } from '../src/discovery/stream.fixture.ts';
import { Wire } from '../src/discovery/wire.ts';
import { CONTROLLER } from '../src/model/names.ts';
import type { Identity } from '../src/model/endpoint.ts';
import type { Service } from '../src/model/service.ts';
import { commandLine } from '../test/support/command-line.ts';
import { Histogram } from './histogram.ts';

interface Size {
  readonly services: number;
  readonly endpoints: number;
  readonly identities: number;
  readonly agents: number;
  readonly processes: number;
  readonly updates: number;
}

/** What the bars of the cluster ask for. */
const FULL: Size = {
  services: 10_000,
  endpoints: 10,
  identities: 100_000,
  agents: 200,
  processes: 2,
  updates: 200,
};
const UPDATE_EVERY_MS = 50;

const HELP = `Usage: npm run bench:discovery -- [options]
  --services N     Services (default: ${FULL.services})
  --endpoints N    endpoints of each (default: ${FULL.endpoints})
  --identities N   Pods that may call (default: ${FULL.identities})
  --agents N       agents that are told (default: ${FULL.agents})
  --processes N    processes that share the agents (default: ${FULL.processes})
  --updates N      changes of one Service, one after the other (default: ${FULL.updates})
`;

type Message =
  | { readonly kind: 'listening'; readonly port: number; readonly ca: string }
  | { readonly kind: 'update' }
  | { readonly kind: 'memory' }
  | { readonly kind: 'rss'; readonly rssMb: number; readonly cpuMs: number }
  | {
      readonly kind: 'dial';
      readonly port: number;
      readonly ca: string;
      readonly names: readonly string[];
    }
  | { readonly kind: 'synced'; readonly ms: number; readonly bytes: number }
  | { readonly kind: 'live'; readonly latency: Latency };

interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Fails with a sentence for the user. */
function readSize(args: readonly string[]): Size | 'help' {
  const option = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      services: option,
      endpoints: option,
      identities: option,
      agents: option,
      processes: option,
      updates: option,
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const size = { ...FULL };
  for (const name of Object.keys(FULL) as (keyof Size)[]) {
    const text = values[name];
    if (text === undefined) continue;
    if (!/^\d{1,7}$/.test(text)) throw new Error(`Cannot use --${name} "${text}": give a number`);
    size[name] = Number(text);
  }
  return size;
}

/** A Service whose address is the time of its last change: agents need nothing else to tell how old it is. */
function benchService(index: number, endpoints: number, address = ''): Service {
  const node = (i: number): string => `ip-10-0-${(index + i) % 200}-17.eu-west-1.compute.internal`;
  const addresses = Array.from(
    { length: endpoints },
    (_, i) => `10.${(index >> 8) & 255}.${index & 255}.${i + 1}`,
  );
  const base = service(`team-${index % 100}/service-${index}`, addresses);
  const ports = base.ports.map((port) => ({
    ...port,
    backend: {
      ...port.backend,
      endpoints: port.backend.endpoints.map((endpoint, i) => ({
        ...endpoint,
        node: node(i),
        pod: `team-${index % 100}/service-${index}-7d9f8b6c5-${(index * 7_919 + i).toString(36)}`,
      })),
    },
  }));
  return { ...base, address, ports };
}

function benchIdentity(index: number): Identity {
  return {
    address: `10.${128 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`,
    namespace: `team-${index % 100}`,
    pod: `service-${index % 10_000}-7d9f8b6c5-${(index * 104_729).toString(36)}`,
    serviceAccount: `service-${index % 10_000}`,
    node: `ip-10-0-${index % 200}-17.eu-west-1.compute.internal`,
    zone: 'eu-west-1a',
    doubt: '',
    labels: {},
  };
}

/** The controller's process. */
async function serve(size: Size): Promise<void> {
  const credentials = await makeCertificate('bench');
  const server = new DiscoveryServer({
    listen: { host: '127.0.0.1', port: 0 },
    epoch: 'bench',
    authenticate: (token) => Promise.resolve({ ok: true, agent: token }),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  server.setCredentials(credentials);
  let version = 1;
  server.publish(
    delta(version, {
      services: Array.from({ length: size.services }, (_, i) => benchService(i, size.endpoints)),
      identities: Array.from({ length: size.identities }, (_, i) => benchIdentity(i)),
    }),
  );
  while (server.version === 0) await setImmediate();
  const { port } = await server.start();
  process.on('message', (message: Message) => {
    if (message.kind === 'update') {
      version += 1;
      const index = (version * 7_919) % size.services;
      const changed = benchService(index, size.endpoints, String(systemClock.nowMs()));
      server.publish(delta(version, { services: [changed] }));
    } else if (message.kind === 'memory') {
      const { user, system } = process.cpuUsage();
      tell({ kind: 'rss', rssMb: memoryUsage.rss() / 1e6, cpuMs: (user + system) / 1_000 });
    }
  });
  tell({ kind: 'listening', port, ca: credentials.certPem });
}

/** The process of all agents. */
function simulate(): void {
  let agents = 0;
  const latency = new Histogram();
  let synced = 0;
  let bytes = 0;
  let live = 0;
  let startedAtMs = 0;
  process.on('message', (message: Message) => {
    if (message.kind !== 'dial') return;
    startedAtMs = systemClock.nowMs();
    agents = message.names.length;
    for (const name of message.names) dialOne(name, message);
  });

  function dialOne(pod: string, { port, ca }: { port: number; ca: string }): void {
    const socket = connect({ host: '127.0.0.1', port, ca, servername: CONTROLLER });
    socket.once('secureConnect', () => {
      const wire = new Wire({ socket, clock: systemClock, payloadBytesMax: PAYLOAD_BYTES_MAX });
      let newestMs = 0;
      let isSynced = false;
      wire.onEnd = (error) => {
        throw error ?? new Error('the controller hung up');
      };
      wire.onFrame = (frame) => {
        bytes += frame.payload.length;
        if (frame.type === FRAME_TYPE.part) newestMs = newestOf(frame);
        if (frame.type !== FRAME_TYPE.commit) return;
        wire.send(acknowledgeFrame(frame.version, { failures: [], refused: [] }));
        if (isSynced) onLive(newestMs);
        else onSynced();
        isSynced = true;
      };
      const names = { node: `node-of-${pod}`, pod, build: 'bench' };
      wire.send(
        helloFrame({
          ...names,
          ...CAPABILITIES,
          formats: FORMATS,
          token: `maesh/${pod}`,
          resume: null,
        }),
      );
    });
  }

  function onSynced(): void {
    synced += 1;
    if (synced === agents) {
      tell({ kind: 'synced', ms: systemClock.nowMs() - startedAtMs, bytes });
    }
  }

  function onLive(changedAtMs: number): void {
    latency.record((systemClock.nowMs() - changedAtMs) * 1_000);
    live += 1;
    if (live % agents !== 0) return;
    const ms = (q: number): number => latency.quantile(q) / 1_000;
    tell({
      kind: 'live',
      latency: { p50Ms: ms(0.5), p99Ms: ms(0.99), maxMs: latency.maxMicros / 1_000 },
    });
  }
}

/** Decompresses and parses a part; when the last of its Services was changed. */
function newestOf(frame: Frame): number {
  if ((frame.flags & FLAG.mustUnderstand) === 0) throw new Error('a part must be understood');
  const { services = [] } = readPayload(frame) as { services?: readonly Service[] };
  return Number(services.at(-1)?.address ?? 0);
}

function tell(message: Message): void {
  process.send?.(message);
}

/** The next message of a kind from a child. */
function hear<K extends Message['kind']>(
  child: ChildProcess,
  kind: K,
): Promise<Extract<Message, { kind: K }>> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: Message): void => {
      if (message.kind !== kind) return;
      child.off('message', onMessage);
      child.off('exit', onExit);
      resolve(message as Extract<Message, { kind: K }>);
    };
    const onExit = (code: number | null): void =>
      reject(new Error(`A process of the benchmark ended with ${code}`));
    child.on('message', onMessage);
    child.once('exit', onExit);
  });
}

async function main(): Promise<void> {
  const size = commandLine(HELP, readSize);
  const self = fileURLToPath(import.meta.url);
  const controller = fork(self, ['serve', JSON.stringify(size)]);
  const agents = Array.from({ length: size.processes }, () => fork(self, ['simulate']));
  try {
    const { port, ca } = await hear(controller, 'listening');
    const names = Array.from({ length: size.agents }, (_, i) => `agent-${i}`);
    const all = agents.map((child, share) => {
      const own = names.filter((_, i) => i % agents.length === share);
      child.send({ kind: 'dial', port, ca, names: own } satisfies Message);
      return hear(child, 'synced');
    });
    const synced = await Promise.all(all);
    const syncMs = Math.max(...synced.map(({ ms }) => ms));
    const bytes = synced.reduce((sum, one) => sum + one.bytes, 0);
    print(`full sync of ${size.agents} agents: ${(syncMs / 1_000).toFixed(2)} s`);
    print(`bytes to one agent: ${(bytes / size.agents / 1e6).toFixed(2)} MB`);
    await report(controller);
    await updates(size, controller, agents);
    await report(controller);
  } finally {
    for (const child of [...agents, controller]) {
      if (child.exitCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
}

/** One change after the other, and how long each took to every agent; of several processes the worst figures. */
async function updates(
  size: Size,
  controller: ChildProcess,
  agents: readonly ChildProcess[],
): Promise<void> {
  let last: readonly Latency[] = [];
  for (let i = 0; i < size.updates; i += 1) {
    const live = Promise.all(agents.map((child) => hear(child, 'live')));
    controller.send({ kind: 'update' } satisfies Message);
    last = (await live).map(({ latency }) => latency);
    await new Promise((resolve) => setTimeout(resolve, UPDATE_EVERY_MS));
  }
  const shown = (['p50Ms', 'p99Ms', 'maxMs'] as const).map((name) =>
    Math.max(...last.map((latency) => latency[name])).toFixed(1),
  );
  print(`one endpoint change to all agents: p50 / p99 / max ${shown.join(' / ')} ms`);
}

async function report(controller: ChildProcess): Promise<void> {
  const rss = hear(controller, 'rss');
  controller.send({ kind: 'memory' } satisfies Message);
  const { rssMb, cpuMs } = await rss;
  print(`controller: ${rssMb.toFixed(0)} MB, ${(cpuMs / 1_000).toFixed(2)} s of CPU so far`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const [role, given = ''] = process.argv.slice(2);
if (role === 'serve') await serve(JSON.parse(given) as Size);
else if (role === 'simulate') simulate();
else {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
