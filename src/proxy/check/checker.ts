/**
 * Active health checks of one proxy thread. Each endpoint of the node is checked by one thread, by the number of its slot; what is
 * found goes into the memory that all threads share. Checks begin at random times, so that nodes and endpoints do not fall into step,
 * and are bounded in number and rate: beyond it they wait their turn.
 */

import { TokenBucket } from '../../base/token-bucket.ts';
import type { CheckOutcome, CheckResult } from '../../model/health-check.ts';
import { CHECK_RESULTS } from '../../model/health-check.ts';
import type { EjectionPolicy, HealthCheckPolicy } from '../../model/policy.ts';
import { type CheckChange, forgetChecks, isInDoubt, noteCheck } from '../balance/check-standing.ts';
import { healthOf, IN_ROTATION } from '../balance/ejection.ts';
import { EndpointState } from '../balance/endpoint-state.ts';
import { Head } from '../head/head.ts';
import { NO_STAMP } from '../head/stamp.ts';
import type { ThreadContext } from '../http/context.ts';
import { add } from '../call/account.ts';
import { parseRequestHead } from '../http1/codec/request-head.ts';
import { ownHeader } from '../net/proxy-protocol/header.ts';
import { looseCells } from '../ledger/cells.ts';
import { ENDPOINT_FLOAT, SERVICE_OWN } from '../ledger/layout.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import type { ServiceState, Target } from '../table/table.ts';
import { ConnectProbe, type ProbeOwner, RequestProbe } from './probe.ts';
import { type Question, questionOf } from './question.ts';

/** Checks of a node that begin in a second, and that are under way. */
export const CHECKS_PER_SECOND = 100;
export const CHECKS_MAX = 64;
/** An endpoint whose backend nobody has asked for this time is not checked. */
export const ASKED_MS = 300_000;
/** How often one that is not to be checked now is looked at. */
const LOOK_MS = 1_000;
/** The first check of an endpoint comes within its interval, and within this. */
const FIRST_MS_MAX = 10_000;
/** While the last result speaks against where an endpoint stands, checks come so many times as often … */
const DOUBT_FACTOR = 5;
/** … but not more often than this. */
const DOUBT_MS_MIN = 1_000;
/** Intervals differ by up to so much, up and down. */
const JITTER = 0.1;
/** Wait for a place among the checks, where none will be free by an event. */
const PAUSE_MS = 100;

export interface CheckEvent {
  readonly service: string;
  readonly endpoint: string;
  readonly change: CheckChange;
  readonly outcome: CheckOutcome;
}

/** Which part of the node's endpoints this thread checks. */
export interface CheckShare {
  readonly thread: number;
  readonly threads: number;
}

const NOTHING = Buffer.alloc(0);
/** What a request says of its caller: there is none. */
const FORWARDING = {
  lines: null,
  address: NOTHING,
  trusted: false,
  secure: false,
  stamp: NO_STAMP,
};
const ORIGIN = { source: { forwarding: FORWARDING }, port: { host: NOTHING } };

/** One endpoint of a checked Service. */
class Checked implements Expiring {
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  readonly endpoint: EndpointState;
  /** Where its checks are counted. */
  service: ServiceState;
  asks: Asks;
  /** Cuts the check that is under way; null without one. */
  cut: (() => void) | null = null;
  readonly #checker: Checker;

  constructor(checker: Checker, endpoint: EndpointState, service: ServiceState, asks: Asks) {
    this.#checker = checker;
    this.endpoint = endpoint;
    this.service = service;
    this.asks = asks;
  }

  get policy(): HealthCheckPolicy {
    return this.asks.policy;
  }

  onDeadline(nowMs: number): void {
    this.#checker.onDue(this, nowMs);
  }

  onDefect(error: unknown): void {
    this.#checker.onDefect(error);
    this.#checker.later(this, this.policy.intervalMs);
  }
}

interface Asks {
  readonly policy: HealthCheckPolicy;
  /** The policy as text: two that say the same are the same. */
  readonly said: string;
  readonly ejection: EjectionPolicy;
  readonly question: Question;
  /** What a connection of TCP begins with; null for nothing. */
  readonly greeting: Uint8Array | null;
}

/** Null where nothing is checked. */
function asksOf({ backend, service, tcp }: Target): Asks | null {
  const rules = service ?? tcp;
  if (rules === null) return null;
  const { check: policy } = backend;
  if (policy === null) return null;
  const { policies, name, namespace } = rules.service;
  const { send } = policies.proxyProtocol;
  const question = questionOf(policy, `${name}.${namespace}`);
  return {
    policy,
    said: JSON.stringify(policy),
    ejection: policies.ejection,
    question,
    // What listens on a port of its own for checks speaks something of its own.
    greeting: tcp === null || send === 'none' || policy.port !== 0 ? null : ownHeader(send),
  };
}

export class Checker implements ProbeOwner {
  onEvent: ((event: CheckEvent) => void) | undefined;
  readonly #context: ThreadContext;
  readonly #share: CheckShare;
  readonly #services = new Map<string, Map<EndpointState, Checked>>();
  /** Due, in the order of their turns. */
  readonly #queue = new Set<Checked>();
  readonly #rate: TokenBucket;
  readonly #runningMax: number;
  readonly #head: Head;
  /** Counts what connections of checks do; nobody looks there. */
  readonly #scratch = looseCells('endpoint');
  #running = 0;
  #isStopped = false;
  /** Looks at the queue again. */
  readonly #pump: Expiring;

  constructor(context: ThreadContext, share: CheckShare) {
    this.#context = context;
    this.#share = share;
    const { threads } = share;
    const perSecond = CHECKS_PER_SECOND / threads;
    this.#rate = new TokenBucket(context.clock, { perSecond, burst: Math.max(perSecond / 10, 1) });
    this.#runningMax = Math.max(Math.floor(CHECKS_MAX / threads), 1);
    this.#head = new Head(context.settings.headFieldsMax);
    this.#pump = {
      deadlineMs: Infinity,
      wheelTick: 0,
      wheelIndex: 0,
      onDeadline: () => this.#next(),
      onDefect: (error) => this.onDefect(error),
    };
  }

  /** Checks under way. */
  get running(): number {
    return this.#running;
  }

  /** Takes over a new or changed Service; what it checks already goes on. `targets` are the backends of its ports that are carried. */
  set(service: ServiceState, targets: readonly Target[]): void {
    if (this.#isStopped) return;
    const { key } = service.service;
    const known = this.#services.get(key) ?? new Map<EndpointState, Checked>();
    const kept = new Map<EndpointState, Checked>();
    for (const target of targets) {
      const asks = asksOf(target);
      if (asks === null) continue;
      for (const endpoint of target.backend.endpoints) {
        if (!this.#isMine(endpoint)) continue;
        kept.set(endpoint, this.#keep(known.get(endpoint), endpoint, service, asks));
        known.delete(endpoint);
      }
    }
    for (const checked of known.values()) this.#forget(checked);
    if (kept.size === 0) this.#services.delete(key);
    else this.#services.set(key, kept);
  }

  remove(key: string): void {
    for (const checked of this.#services.get(key)?.values() ?? []) this.#forget(checked);
    this.#services.delete(key);
  }

  /** Ends all checks, for good; what they found holds. */
  stop(): void {
    this.#isStopped = true;
    for (const service of this.#services.values())
      for (const checked of service.values()) this.#end(checked);
    this.#services.clear();
  }

  arm(item: Expiring): void {
    this.#context.wheel.arm(item);
  }

  disarm(item: Expiring): void {
    this.#context.wheel.disarm(item);
  }

  onDefect(error: unknown): void {
    this.#context.guard.caught('proxy', error);
  }

  onDue(checked: Checked, nowMs: number): void {
    if (!isWanted(checked, nowMs)) return this.later(checked, LOOK_MS);
    this.#queue.add(checked);
    this.#next();
  }

  /** Its next look or check comes after about this time. */
  later(checked: Checked, ms: number): void {
    const { clock, random } = this.#context;
    checked.deadlineMs = clock.nowMs() + ms * (1 - JITTER + 2 * JITTER * random.next());
    this.arm(checked);
  }

  #isMine({ cells, weight }: EndpointState): boolean {
    // What takes no traffic is nobody's.
    return weight > 0 && cells.slot % this.#share.threads === this.#share.thread;
  }

  #keep(
    before: Checked | undefined,
    endpoint: EndpointState,
    service: ServiceState,
    asks: Asks,
  ): Checked {
    if (before === undefined) {
      const checked = new Checked(this, endpoint, service, asks);
      this.#soon(checked);
      return checked;
    }
    const isNew = before.asks.said !== asks.said;
    before.service = service;
    before.asks = asks;
    // Who changes what is asked waits for what comes of it; a check that is under way or has its turn goes on.
    if (isNew && before.cut === null && !this.#queue.has(before)) this.#soon(before);
    return before;
  }

  /** Its next check comes at a random time within its interval, if not before. */
  #soon(checked: Checked): void {
    const { clock, random } = this.#context;
    const withinMs = Math.min(checked.policy.intervalMs, FIRST_MS_MAX);
    const firstMs = clock.nowMs() + withinMs * random.next();
    checked.deadlineMs = Math.min(checked.deadlineMs, firstMs);
    this.arm(checked);
  }

  /** Its endpoint may stay or return, and nothing is known of it by checks any more. */
  #forget(checked: Checked): void {
    this.#end(checked);
    forgetChecks(checked.endpoint.cells);
  }

  #end(checked: Checked): void {
    this.disarm(checked);
    this.#queue.delete(checked);
    checked.cut?.();
    this.disarm(checked);
    if (this.#queue.size === 0) this.disarm(this.#pump);
  }

  #next(): void {
    for (const checked of this.#queue) {
      // The end of one of them looks again.
      if (this.#running >= this.#runningMax) return;
      const waitMs = this.#rate.take();
      if (waitMs > 0) return this.#pause(waitMs);
      this.#queue.delete(checked);
      this.#begin(checked);
    }
  }

  #pause(ms: number): void {
    this.#pump.deadlineMs = this.#context.clock.nowMs() + ms;
    this.arm(this.#pump);
  }

  #begin(checked: Checked): void {
    const { room, clock } = this.#context;
    if (!room.admitsCopy()) {
      this.#note(checked, { result: 'not_made', detail: 0 });
      return this.later(checked, Math.max(checked.policy.intervalMs / DOUBT_FACTOR, PAUSE_MS));
    }
    const { policy, endpoint } = checked;
    const connections = policy.kind === 'tcp' ? 1 : 0;
    room.copies++;
    room.endpointConnections += connections;
    this.#running++;
    const onDone = (outcome: CheckOutcome | null): void => {
      room.copies--;
      room.endpointConnections -= connections;
      this.#running--;
      checked.cut = null;
      if (outcome !== null) this.#note(checked, outcome);
      this.later(checked, waitOf(checked));
      this.#next();
    };
    const untilMs = clock.nowMs() + policy.timeoutMs;
    const port = policy.port === 0 ? endpoint.port : policy.port;
    if (policy.kind === 'tcp')
      this.#connect(checked, port, new ConnectProbe(this, untilMs, onDone));
    else this.#ask(checked, port, new RequestProbe(this, policy, untilMs, onDone));
  }

  #connect(checked: Checked, port: number, probe: ConnectProbe): void {
    checked.cut = () => probe.cut();
    try {
      const { address } = checked.endpoint;
      const { greeting } = checked.asks;
      probe.begin(this.#context.sockets.dial({ address, port }, probe), greeting);
    } catch (error) {
      probe.onDefect(error);
    }
  }

  #ask(checked: Checked, port: number, probe: RequestProbe): void {
    const { endpoint, policy, asks } = checked;
    checked.cut = () => probe.cut();
    // A state of its own: its connection is kept for nobody, and in nobody's figures.
    const http2 = endpoint.http2 || policy.kind === 'grpc';
    const place = { ...endpoint.endpoint, port };
    // In TLS as requests: whatever the port, nothing is sent plain to who is asked for TLS.
    const spoken = { http2, tls: endpoint.tls };
    const state = new EndpointState(endpoint.id, place, this.#scratch, spoken);
    state.gone = true;
    try {
      const { head: data, body } = asks.question;
      const stream = this.#context.connector.dial(state, probe);
      probe.begin(stream, body, () => {
        const { settings } = this.#context;
        if (parseRequestHead(data, 0, data.length, this.#head, settings) !== data.length)
          throw new Error(`a check asks what is no request: ${this.#head.rule}`);
        stream.sendHead(data, this.#head, ORIGIN, null);
      });
    } catch (error) {
      probe.onDefect(error);
    }
  }

  #note(checked: Checked, outcome: CheckOutcome): void {
    const { endpoint, service, asks } = checked;
    const { key } = service.service;
    count(service, outcome.result);
    const rules = { healthCheck: asks.policy, ejection: asks.ejection };
    const nowMs = this.#context.clock.nowMs();
    const change = noteCheck(endpoint, rules, outcome, nowMs);
    if (change === null) return;
    this.onEvent?.({ service: key, endpoint: endpoint.key, change, outcome });
  }
}

/** Somebody calls the Service on this node, and the result would matter. */
function isWanted({ endpoint, policy }: Checked, nowMs: number): boolean {
  const { cells } = endpoint;
  const askedAtMs = cells.floats[cells.f + ENDPOINT_FLOAT.askedAtMs] ?? 0;
  if (askedAtMs === 0 || nowMs - askedAtMs > ASKED_MS) return false;
  return policy.ejects || healthOf(cells) !== IN_ROTATION;
}

function waitOf({ endpoint, policy }: Checked): number {
  const { intervalMs } = policy;
  if (!isInDoubt(endpoint.cells)) return intervalMs;
  return Math.min(intervalMs, Math.max(intervalMs / DOUBT_FACTOR, DOUBT_MS_MIN));
}

function count({ cells }: ServiceState, result: CheckResult): void {
  add(cells, SERVICE_OWN.checks + CHECK_RESULTS.indexOf(result), 1);
}
