/** Entry of a proxy thread: listens to the main thread and runs one ProxyServer. */

import { BlockList, isIPv6 } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import assert from 'node:assert';
import { systemClock } from '../../base/clock.ts';
import { goFirst } from '../../base/priority.ts';
import { systemRandom } from '../../base/random.ts';
import { LogThrottle } from '../../base/log-throttle.ts';
import { CheckLog } from '../check/check-log.ts';
import { Guard } from '../../base/guard.ts';
import { describeError, type Log } from '../../base/log.ts';
import { ThreadContext } from '../http/context.ts';
import { AccessWriter } from '../call/access.ts';
import { RULES } from '../head/rule.ts';
import { protocols } from './protocols.ts';
import { LedgerView } from '../ledger/cells.ts';
import { CallerSeats } from '../ledger/caller-seats.ts';
import { IdentityTrust } from '../ledger/identity-trust.ts';
import type { DeltaPart } from './delta-parts.ts';
import type { FromThread, ListenFailure, ThreadData, ToThread } from './message.ts';
import { descriptorLimit } from '../net/descriptor-limit.ts';
import { localPorts } from '../net/local-ports.ts';
import { ProxyServer } from './server.ts';
import { openSockets, settle } from '../net/open-sockets.ts';
import { warmUp } from './warm-up.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import { FileSink } from '../telemetry/access-sink.ts';
import { EventLoopMonitor } from '../telemetry/process-figures.ts';

assert(parentPort !== null, 'thread.ts runs as a worker thread');
const port = parentPort;
const { index, settings, threads, ownDials, ticketKeys, seats, trust, marks } =
  workerData as ThreadData;
const view = new LedgerView();
const log = relayedLog();
const guard = new Guard(systemClock, log);
/** Timers of requests are armed by what peers send. */
const clock = guard.clock('proxy');
const opened = openSockets(settings, marks);
const context = new ThreadContext({
  clock,
  random: systemRandom,
  guard,
  settings,
  protocols,
  isTrusted: trustCheck(settings.trustedSources),
  threads,
  ownDials,
  ticketKeys,
  descriptors: descriptorLimit(),
  ports: localPorts(),
  trust: new IdentityTrust(trust),
  seats: new CallerSeats(seats, index, threads),
  sockets: opened.sockets,
});
const share = { thread: index, threads };
const server = new ProxyServer(context, view, clock, systemRandom, share);
const eventLoop = new EventLoopMonitor();
let version = 0;
/** The failures that were told last. */
let told: readonly ListenFailure[] = [];
/** The last version that a defect kept from being applied whole. */
let lost = 0;
const VITALS_MS = 1_000;
/** Deltas apply strictly one after the other. */
let queue: Promise<void> = start();

const othersClosed = Promise.withResolvers<void>();

port.on('message', (message: ToThread) => {
  if (message.kind === 'chunks') for (const chunk of message.chunks) view.add(chunk);
  else if (message.kind === 'closed') othersClosed.resolve();
  else {
    queue = queue.then(() =>
      // Another thread that replaced this one would fail at the same message: what is served stays.
      handle(message).catch((error: unknown) => guard.caught('proxy', error)),
    );
  }
});
server.onRetried = report;
context.rules.onLog = ({ rule, reason, service, caller, endpoint }, skipped): void => {
  const who = endpoint === '' ? 'A caller' : 'An endpoint';
  log.warn(`${who} broke a rule of HTTP: ${RULES[rule]}`, {
    service,
    rule,
    reason,
    caller,
    ...(endpoint === '' ? {} : { endpoint }),
    skipped,
  });
};
const checks = new CheckLog(systemClock, log);
server.checker.onEvent = (event) => checks.tell(event);
context.methods.onMethod = (service, method, cells) =>
  send({ kind: 'method', service, method, cells });
const shedding = new LogThrottle(systemClock);
context.room.onEvent = ({ scarce, source, connections, closed }): void => {
  shedding.run((skipped) =>
    log.warn('Short of room for callers: the one that holds most makes room', {
      scarce,
      source,
      connections,
      ...(closed === 0 ? { refused: 1 } : { closed }),
      skipped,
    }),
  );
};

async function start(): Promise<void> {
  goFirst();
  await settle(context.sockets);
  context.wheel.start();
  await warmUp(context, server.requests);
  if (settings.accessLog.format !== 'off') {
    const sink = new FileSink(settings.accessLog.path);
    context.accessLog = new AccessWriter(
      new AccessLog(settings.accessLog, sink, systemClock, log),
      clock,
      systemRandom,
    );
  }
  systemClock.every(VITALS_MS, sendVitals);
  const { sockets, ...told } = opened;
  send({ kind: 'started', sockets: sockets.kind, ...told });
}

async function handle(message: Exclude<ToThread, { kind: 'chunks' | 'closed' }>): Promise<void> {
  switch (message.kind) {
    case 'delta':
      return apply(message);
    case 'credentials':
      return take(message);
    case 'drain':
      return drain(message);
    case 'reopen':
      return context.accessLog?.log.reopen();
  }
}

async function apply({ delta, isLast }: DeltaPart): Promise<void> {
  try {
    // What it cannot serve is among its failures: every node would wait for ever for a version that none can serve whole.
    await server.apply(delta);
  } catch (error) {
    lost = delta.version;
    throw error;
  } finally {
    send({ kind: 'taken' });
  }
  if (!isLast || delta.version === lost) return;
  version = delta.version;
  report();
}

async function take(message: Extract<ToThread, { kind: 'credentials' }>): Promise<void> {
  try {
    await server.applyCredentials(message);
  } finally {
    send({ kind: 'taken' });
  }
  // Before the first delta there is nothing to tell of.
  if (version > 0) report();
}

async function drain({ timeoutMs, lateMs }: Extract<ToThread, { kind: 'drain' }>): Promise<void> {
  const cut = await server.drain(timeoutMs, lateMs, () => {
    send({ kind: 'closed' });
    return othersClosed.promise;
  });
  if (cut > 0) log.warn('Connections of callers were cut at the end of the drain', { cut });
  await context.accessLog?.log.close();
  sendVitals();
  send({ kind: 'drained' });
}

function sendVitals(): void {
  const log = context.accessLog?.log;
  send({
    kind: 'vitals',
    vitals: {
      eventLoop: eventLoop.read(),
      logWritten: log?.written ?? 0,
      logDropped: log?.dropped ?? 0,
      logLeftOut: log?.leftOut ?? 0,
      defects: guard.counts.get('proxy') ?? 0,
      shed: [...context.room.shed],
      brokenRules: [...context.rules.counts],
      callerBytes: context.room.bytes,
      splicedBytes: context.sockets.splicedBytes,
    },
  });
}

/** The log of the process is on the main thread. */
function relayedLog(): Log {
  const relay =
    (level: 'info' | 'warn' | 'error') =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      const texts = Object.entries(fields).map(([name, value]) => [name, textOf(value)] as const);
      send({ kind: 'log', level, message, fields: Object.fromEntries(texts) });
    };
  const log: Log = {
    debug: () => undefined,
    info: relay('info'),
    warn: relay('warn'),
    error: relay('error'),
    child: () => log,
  };
  return log;
}

function textOf(value: unknown): string {
  return value instanceof Error ? describeError(value) : String(value);
}

function report(): void {
  const { listeners, failures } = server;
  send({ kind: 'applied', version, listeners, failures: failures === told ? null : failures });
  told = failures;
}

function send(message: FromThread): void {
  port.postMessage(message);
}

/** The CIDRs were checked when the settings were read. */
function trustCheck(cidrs: readonly string[]): (address: string) => boolean {
  // A list is asked by a call into the runtime, once per connection.
  if (cidrs.length === 0) return () => false;
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address, bits] = cidr.split('/') as [string, string];
    list.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  return (address) => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
