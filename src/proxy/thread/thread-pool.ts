/** The main thread's side of the proxy threads: starts them, feeds them deltas, replaces the dead, drains the living. */

import { Worker } from 'node:worker_threads';
import type { Clock } from '../../base/clock.ts';
import { MeshError } from '../../base/error.ts';
import type { Guard } from '../../base/guard.ts';
import type { Log } from '../../base/log.ts';
import type { Credential, CredentialChange } from '../../model/credential.ts';
import type { Identity } from '../../model/endpoint.ts';
import { MethodCounts } from '../telemetry/method-counts.ts';
import { CallerSeats, callerSeatsBytes } from '../ledger/caller-seats.ts';
import { forgetThread } from '../ledger/forget-thread.ts';
import { IdentityTrust } from '../ledger/identity-trust.ts';
import type { ProxySettings } from '../../model/settings.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { SLOT_KINDS, type SlotKind } from '../ledger/layout.ts';
import { OWN_DIALS_BYTES } from '../net/own-dials.ts';
import { TicketSecrets } from '../net/tls/ticket-keys.ts';
import type { SocketKind } from '../net/socket.ts';
import { reclaim } from '../net/system/system-calls.ts';
import { shareMarks } from '../net/system/thread-marks.ts';
import type { PlacedDelta, PlacedService } from '../ledger/placement.ts';
import { namedCounts } from '../http/broken-rules.ts';
import type { AccessLines, BrokenRuleCount } from '../telemetry/metrics-source.ts';
import { eachOnce } from './listen-failures.ts';
import type {
  FromThread,
  ListenFailure,
  StartedMessage,
  ThreadData,
  ThreadVitals,
  ToThread,
} from './message.ts';
import { NotedSockets } from './noted-sockets.ts';
import { UpdateQueue } from './update-queue.ts';

const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js',
  import.meta.url,
);
/** Pause before a thread is replaced that died within this time of its start: a defect must not become a busy loop. */
const YOUNG_MS = 1_000;

type Applied = Extract<FromThread, { kind: 'applied' }>;

interface Thread {
  readonly worker: Worker;
  readonly startedMs: number;
  readonly chunksSent: Record<SlotKind, number>;
  version: number;
  listeners: number;
  failures: readonly ListenFailure[];
  drained: (() => void) | null;
  vitals: ThreadVitals | null;
  sockets: SocketKind | 'unknown';
  socketsReason: string;
  /** Warm; until then it has nothing, and then it gets everything. */
  started: boolean;
  /** What it is still to get. */
  readonly updates: UpdateQueue;
}

/** One thread as the admin API shows it. */
export interface ThreadState {
  readonly thread: number;
  readonly state: 'starting' | 'serving' | 'draining' | 'dead';
  readonly configVersion: number;
  readonly listeners: number;
  readonly sockets: SocketKind | 'unknown';
  /** What the self-test of `system` found, where that might have run and does not; else ''. */
  readonly socketsReason: string;
}

export interface ThreadPoolOptions {
  readonly count: number;
  readonly settings: ProxySettings;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Log;
  readonly guard: Guard;
  /** Something that readiness depends on has changed. */
  readonly onChange: () => void;
}

export class ThreadPool {
  restarts = 0;
  /** Until when all threads believe identities. */
  readonly trust = new IdentityTrust();
  /** Calls of gRPC on all threads. */
  readonly methods: MethodCounts;
  readonly #options: ThreadPoolOptions;
  readonly #threads: (Thread | null)[];
  readonly #services = new Map<string, PlacedService>();
  readonly #identities = new Map<string, Identity>();
  readonly #credentials = new Map<string, Credential>();
  readonly #lostLog = { written: 0, dropped: 0, leftOut: 0 };
  readonly #lostShed: number[] = [];
  #lostSplicedBytes = 0;
  readonly #lostBrokenRules: number[] = [];
  readonly #ownDials = new SharedArrayBuffer(OWN_DIALS_BYTES);
  readonly #seats: SharedArrayBuffer;
  readonly #notedSockets: NotedSockets;
  readonly #tickets: TicketSecrets;
  /** null: to be found anew. There may be thousands, and they are asked for with each change. */
  #failures: readonly ListenFailure[] | null = null;
  #version = 0;
  #started = false;
  #stopping = false;
  /** They were told to drain, and still accept. */
  readonly #accepting = new Set<Thread>();

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
    this.#notedSockets = new NotedSockets(options.log);
    this.methods = new MethodCounts(options.settings.grpcMethodsMax);
    this.#threads = Array.from({ length: options.count }, () => null);
    this.#tickets = new TicketSecrets(options.clock);
    this.#seats = new SharedArrayBuffer(callerSeatsBytes(options.count));
  }

  get alive(): number {
    return this.#living().length;
  }

  /** Version that every thread serves; 0 before the first. */
  get servedVersion(): number {
    let least = this.#version;
    for (const thread of this.#threads) least = Math.min(least, thread?.version ?? 0);
    return least;
  }

  get publishedVersion(): number {
    return this.#version;
  }

  /** Open Service ports, each counted once. */
  get listeners(): number {
    return Math.max(0, ...this.#living().map((thread) => thread.listeners));
  }

  /** Ports that some thread cannot listen on, each once. */
  get failures(): readonly ListenFailure[] {
    this.#failures ??= eachOnce(this.#living().map((thread) => thread.failures));
    return this.#failures;
  }

  /** Access log lines of all threads; those of a thread that died are kept. */
  get accessLog(): AccessLines {
    let { written, dropped, leftOut } = this.#lostLog;
    for (const { vitals } of this.#living()) {
      written += vitals?.logWritten ?? 0;
      dropped += vitals?.logDropped ?? 0;
      leftOut += vitals?.logLeftOut ?? 0;
    }
    return { written, dropped, leftOut };
  }

  /** `CallerRoom.shed` of all threads, those that died included. */
  get shed(): readonly number[] {
    const sums = [...this.#lostShed];
    for (const { vitals } of this.#living()) addTo(sums, vitals?.shed);
    return sums;
  }

  /** Rules that were broken on all threads, those that died included. */
  get brokenRules(): readonly BrokenRuleCount[] {
    const sums = [...this.#lostBrokenRules];
    for (const { vitals } of this.#living()) addTo(sums, vitals?.brokenRules);
    return namedCounts(sums);
  }

  /** What callers hold on all threads. */
  get callerBytes(): number {
    return this.#living().reduce((sum, { vitals }) => sum + (vitals?.callerBytes ?? 0), 0);
  }

  /** Bytes that all threads have spliced, those that died included. */
  get splicedBytes(): number {
    return this.#living().reduce(
      (sum, { vitals }) => sum + (vitals?.splicedBytes ?? 0),
      this.#lostSplicedBytes,
    );
  }

  states(): readonly ThreadState[] {
    return this.#threads.map((thread, index) => ({
      thread: index,
      state:
        thread === null
          ? 'dead'
          : this.#stopping
            ? 'draining'
            : thread.version > 0
              ? 'serving'
              : 'starting',
      configVersion: thread?.version ?? 0,
      listeners: thread?.listeners ?? 0,
      sockets: thread?.sockets ?? 'unknown',
      socketsReason: thread?.socketsReason ?? '',
    }));
  }

  /** Who makes the system calls of each thread that has started. */
  *sockets(): Iterable<{ readonly thread: string; readonly kind: SocketKind }> {
    for (const [index, thread] of this.#threads.entries()) {
      const kind = thread?.sockets ?? 'unknown';
      if (kind !== 'unknown') yield { thread: `proxy-${index}`, kind };
    }
  }

  /** Event loop delay of each thread in its last second. */
  *eventLoops(): Iterable<ThreadVitals['eventLoop'] & { readonly thread: string }> {
    for (const [index, thread] of this.#threads.entries()) {
      if (thread !== null && thread.vitals !== null)
        yield { thread: `proxy-${index}`, ...thread.vitals.eventLoop };
    }
  }

  /** Resolves once every thread is warm. Rejects when one cannot start: what stops it would stop its replacement too. */
  async start(): Promise<void> {
    const failures = await Promise.all(this.#threads.map((_, index) => this.#spawn(index)));
    const failure = failures.find((error) => error !== null);
    if (failure !== undefined) throw MeshError.from(failure);
    this.#started = true;
  }

  publish(delta: PlacedDelta): void {
    this.#version = delta.version;
    for (const placed of delta.services) this.#services.set(placed.service.key, placed);
    for (const key of delta.removedServices) {
      this.#services.delete(key);
      this.methods.forget(key);
    }
    for (const identity of delta.identities) this.#identities.set(identity.address, identity);
    for (const address of delta.removedIdentities) this.#identities.delete(address);
    this.#threads.forEach((thread, index) => {
      if (thread?.started === true) this.#post(thread, index, delta);
    });
  }

  /** Behind what was published before, and before what is published next. */
  publishCredentials(change: CredentialChange): void {
    for (const credential of change.changed) this.#credentials.set(credential.key, credential);
    for (const key of change.removed) this.#credentials.delete(key);
    for (const { started, updates } of this.#living()) if (started) updates.pushCredentials(change);
  }

  reopenLogs(): void {
    for (const { worker } of this.#living())
      worker.postMessage({ kind: 'reopen' } satisfies ToThread);
  }

  /** For how long a thread has taken nothing of what it was sent; 0 while all go on. */
  get stalledMs(): number {
    const nowMs = this.#options.clock.nowMs();
    return Math.max(
      0,
      ...this.#living().map(({ updates: { sentMs } }) => (sentMs === null ? 0 : nowMs - sentMs)),
    );
  }

  /** Whether every thread serves some version. */
  get isComplete(): boolean {
    return this.#threads.every((thread) => thread !== null && thread.version > 0);
  }

  /** Stops accepting, after `lateMs` at most; lets requests finish for up to `timeoutMs`, ends all threads. */
  async drain(timeoutMs: number, lateMs = 0): Promise<void> {
    this.#stopping = true;
    for (const { updates } of this.#living()) updates.close();
    const drained = this.#living().map((thread) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#accepting.add(thread);
      thread.drained = resolve;
      thread.worker.postMessage({ kind: 'drain', timeoutMs, lateMs } satisfies ToThread);
      return promise;
    });
    await Promise.all(drained);
    await this.stop();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const { updates } of this.#living()) updates.close();
    this.#tickets.stop();
    await Promise.all(this.#living().map(({ worker }) => worker.terminate()));
  }

  /** Ends one thread as a crash would; the pool replaces it. For tests of that very thing. */
  async kill(index: number): Promise<void> {
    await this.#threads[index]?.worker.terminate();
  }

  #living(): Thread[] {
    return this.#threads.filter((thread) => thread !== null);
  }

  /** Resolves with null once the thread is warm, or with what ended it before. */
  #spawn(index: number): Promise<Error | null> {
    const { settings, clock } = this.#options;
    const marks = shareMarks();
    const worker = new Worker(ENTRY, {
      workerData: {
        index,
        settings,
        threads: this.#options.count,
        ownDials: this.#ownDials,
        ticketKeys: this.#tickets.shared,
        seats: this.#seats,
        trust: this.trust.buffer,
        marks,
      } satisfies ThreadData,
      name: `proxy-${index}`,
    });
    const thread: Thread = {
      worker,
      startedMs: clock.nowMs(),
      chunksSent: { service: 0, endpoint: 0, status: 0, route: 0 },
      version: 0,
      listeners: 0,
      failures: [],
      drained: null,
      vitals: null,
      sockets: 'unknown',
      socketsReason: '',
      started: false,
      updates: new UpdateQueue(clock, (update) => worker.postMessage(update satisfies ToThread)),
    };
    this.#threads[index] = thread;
    return new Promise((resolve) => {
      const onMessage = (message: FromThread): void => {
        if (message.kind === 'started') {
          thread.started = true;
          this.#noteSockets(thread, message);
          const changed = [...this.#credentials.values()];
          if (changed.length > 0) thread.updates.pushCredentials({ changed, removed: [] });
          if (this.#version > 0) this.#post(thread, index, this.#everything());
          resolve(null);
        } else this.#onMessage(thread, message);
      };
      worker.on(
        'message',
        this.#options.guard.wrap('proxy', onMessage, () => undefined),
      );
      worker.on('error', (error: Error) => {
        // Before all threads have started, `start` hands the error on.
        if (!this.#started) return resolve(error);
        this.#options.guard.add('proxy', 1);
        this.#options.log.error('Proxy thread failed; it is replaced', { thread: index, error });
      });
      worker.on('exit', () => {
        reclaim(marks, !this.#stopping);
        resolve(null);
        this.#onExit(thread, index);
      });
    });
  }

  /** Told by the first thread for all: what a self-test finds is the same on each, but for chance. */
  #noteSockets(thread: Thread, started: StartedMessage): void {
    thread.sockets = started.sockets;
    thread.socketsReason = started.reason;
    this.#notedSockets.note(started);
  }

  #onMessage(thread: Thread, message: Exclude<FromThread, { kind: 'started' }>): void {
    if (message.kind === 'log') this.#options.log[message.level](message.message, message.fields);
    else if (message.kind === 'taken') thread.updates.taken();
    else if (message.kind === 'closed') this.#onClosed(thread);
    else if (message.kind === 'drained') thread.drained?.();
    else if (message.kind === 'method') {
      // Calls of a Service that left may still end.
      const { service, method, cells } = message;
      const index = this.#threads.indexOf(thread);
      if (this.#services.has(service)) this.methods.add(index, service, method, cells);
    } else if (message.kind === 'vitals') {
      const { vitals } = message;
      this.#options.guard.add('proxy', vitals.defects - (thread.vitals?.defects ?? 0));
      thread.vitals = vitals;
    } else this.#onApplied(thread, message);
  }

  #onApplied(thread: Thread, { version, listeners, failures }: Applied): void {
    thread.version = version;
    thread.listeners = listeners;
    if (failures !== null) {
      thread.failures = failures;
      this.#failures = null;
    }
    this.#options.onChange();
  }

  /** It accepts no more. Once that is so of all, callers are told to go: not before, or they would come back to the rest. */
  #onClosed(thread: Thread): void {
    if (!this.#accepting.delete(thread) || this.#accepting.size > 0) return;
    for (const { worker } of this.#living())
      worker.postMessage({ kind: 'closed' } satisfies ToThread);
  }

  #onExit(thread: Thread, index: number): void {
    if (this.#threads[index] !== thread) return;
    this.#threads[index] = null;
    this.#failures = null;
    if (thread.vitals !== null) this.#keepCounts(thread.vitals);
    thread.drained?.();
    this.#onClosed(thread);
    const { ledger, count } = this.#options;
    forgetThread(ledger, index);
    new CallerSeats(this.#seats, index, count).forget(index);
    this.methods.endThread(index);
    if (this.#stopping) return;
    this.restarts++;
    this.#options.onChange();
    const age = this.#options.clock.nowMs() - thread.startedMs;
    this.#options.clock.after(age < YOUNG_MS ? YOUNG_MS : 0, () => {
      if (!this.#stopping) void this.#spawn(index);
    });
  }

  #keepCounts({
    logWritten,
    logDropped,
    logLeftOut,
    splicedBytes,
    shed,
    brokenRules,
  }: ThreadVitals): void {
    this.#lostLog.written += logWritten;
    this.#lostLog.dropped += logDropped;
    this.#lostLog.leftOut += logLeftOut;
    this.#lostSplicedBytes += splicedBytes;
    addTo(this.#lostShed, shed);
    addTo(this.#lostBrokenRules, brokenRules);
  }

  #everything(): PlacedDelta {
    return {
      version: this.#version,
      services: [...this.#services.values()],
      removedServices: [],
      identities: [...this.#identities.values()],
      removedIdentities: [],
    };
  }

  #post(thread: Thread, index: number, delta: PlacedDelta): void {
    const { ledger } = this.#options;
    const chunks = SLOT_KINDS.flatMap((kind) => {
      const from = thread.chunksSent[kind];
      const to = ledger.chunkCount(kind);
      thread.chunksSent[kind] = to;
      return Array.from({ length: to - from }, (_, i) => ledger.chunk(kind, from + i, index));
    });
    if (chunks.length > 0) thread.worker.postMessage({ kind: 'chunks', chunks } satisfies ToThread);
    thread.updates.pushDelta(delta);
  }
}

function addTo(sums: number[], more: readonly number[] = []): void {
  for (const [i, count] of more.entries()) sums[i] = (sums[i] ?? 0) + count;
}
