/** All that one proxy thread serves: keeps the listeners in step with the table, drains them in the end. */

import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { Turns } from '../../base/turns.ts';
import { textAt } from '../../base/record.ts';
import { isCarried, type Service, type ServicePort } from '../../model/service.ts';
import { Checker, type CheckShare } from '../check/checker.ts';
import type { ThreadContext } from '../http/context.ts';
import type { SentCredentials } from '../net/tls/credentials.ts';
import { closeQuietly } from '../net/close-quietly.ts';
import { FAREWELL_SPREAD_MS } from '../net/context.ts';
import type { PortListener } from '../net/listener.ts';
import { RequestPool } from '../http1/request-pool.ts';
import { portsWithin } from '../table/listener-share.ts';
import type { LedgerView } from '../ledger/cells.ts';
import type { PlacedDelta } from '../ledger/placement.ts';
import { ListenFailures } from './listen-failures.ts';
import { makeListener } from './make-listener.ts';
import { DEFECT, NO_CERTIFICATE, type ListenFailure } from './message.ts';
import { type PortState, Table, type TableChange } from '../table/table.ts';
import { UdpThread } from '../udp/thread.ts';

/** Services whose ports are opened together: bounds how long the first of them waits for the last. */
const SERVICES_AT_ONCE = 64;
/** Listening sockets opened between two looks at the clock. */
const LISTENS_AT_ONCE = 8;
/** Entries of a map, likewise. */
const ENTRIES_AT_ONCE = 256;
const RETRY_LISTEN_MS = 1_000;
const DRAIN_POLL_MS = 20;
/** Once its listeners are closed, a thread waits for this part of the drain, at most, until the others have closed theirs. */
const OTHERS_SHARE = 0.25;
const ALL: CheckShare = { thread: 0, threads: 1 };

export class ProxyServer {
  readonly context: ThreadContext;
  readonly requests: RequestPool;
  /** Asks endpoints how they are. */
  readonly checker: Checker;
  readonly #clock: Clock;
  readonly #table: Table;
  readonly #udp: UdpThread;
  readonly #listeners = new Map<PortState, PortListener>();
  /** Closed, with callers that still finish. */
  readonly #leaving = new Set<PortListener>();
  readonly #failures = new ListenFailures();
  /** All that are to be listened on. */
  readonly #wanted = new Set<PortState>();
  #retrying = false;

  // oxlint-disable-next-line max-params -- the last one is for more than one thread
  constructor(
    context: ThreadContext,
    view: LedgerView,
    clock: Clock,
    random: Random,
    share: CheckShare = ALL,
  ) {
    this.context = context;
    this.checker = new Checker(context, share);
    this.requests = new RequestPool(context);
    this.#udp = new UdpThread(context);
    this.#clock = clock;
    this.#table = new Table(view, clock, random);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** The same array as long as nothing is different. */
  get failures(): readonly ListenFailure[] {
    return this.#failures.all;
  }

  /**
   * Resolves once everything of the delta is served, but for `failures`. They are tried again every second; where it is for want of file
   * descriptors, when other ports go; and what met a defect, with the next change of its Service. Requests run meanwhile: no turn of the
   * event loop is long, however much changes.
   */
  async apply(delta: PlacedDelta): Promise<void> {
    const turns = new Turns(this.#clock);
    await this.#identify(delta, turns);
    for (let i = 0; i === 0 || i < delta.services.length; i += SERVICES_AT_ONCE) {
      const part = delta.services.slice(i, i + SERVICES_AT_ONCE);
      // oxlint-disable-next-line no-await-in-loop -- in parts on purpose: requests run in between
      await this.#applyPart(part, i === 0 ? delta.removedServices : [], turns);
    }
  }

  /** Opens the ports whose certificates came, and closes those whose last one went: for them nobody is to be had. */
  async applyCredentials(change: SentCredentials): Promise<void> {
    this.context.credentials.apply(change);
    const secrets = new Set([...change.changed.map(({ key }) => key), ...change.removed]);
    const named = [...this.#wanted].filter((port) =>
      port.port.callerTls?.certificates.some(({ secret }) => secrets.has(secret)),
    );
    await this.#review(named, new Turns(this.#clock));
  }

  /** Of ports that stay: whether they have a certificate may be different. */
  async #review(ports: readonly PortState[], turns: Turns): Promise<void> {
    for (const port of ports) if (!this.#hasCertificate(port)) this.#withhold(port);
    await this.#open(ports, turns);
  }

  #hasCertificate({ port: { callerTls } }: PortState): boolean {
    return callerTls === null || this.context.credentials.usable(callerTls).length > 0;
  }

  /** Not listened on until a certificate is there. That a Secret cannot be used is told where it was found out. */
  #withhold(port: PortState): void {
    this.#shut(port);
    const { certificates = [] } = port.port.callerTls ?? {};
    if (certificates.some(({ digest }) => digest !== '')) this.#failures.fail(port, NO_CERTIFICATE);
  }

  async #identify({ identities, removedIdentities }: PlacedDelta, turns: Turns): Promise<void> {
    const known = this.context.identities;
    for (const [i, identity] of identities.entries()) {
      known.set(identity.address, identity);
      // oxlint-disable-next-line no-await-in-loop -- requests run in between
      if (i % ENTRIES_AT_ONCE === 0 && turns.isOver) await turns.next();
    }
    for (const [i, address] of removedIdentities.entries()) {
      known.delete(address);
      // oxlint-disable-next-line no-await-in-loop -- requests run in between
      if (i % ENTRIES_AT_ONCE === 0 && turns.isOver) await turns.next();
    }
  }

  async #applyPart(
    services: PlacedDelta['services'],
    removed: readonly string[],
    turns: Turns,
  ): Promise<void> {
    const change: TableChange = { opened: [], closed: [], broken: [] };
    for (const _ of this.#table.steps(services, removed, change)) {
      // oxlint-disable-next-line no-await-in-loop -- requests run in between
      if (turns.isOver) await turns.next();
    }
    for (const { service } of services) this.#failures.unbreak(service.key);
    for (const key of removed) this.#failures.unbreak(key);
    this.#check(services, removed);
    for (const { service, error } of change.broken) this.#break(service, error);
    for (const port of change.closed) {
      this.#close(port);
      // oxlint-disable-next-line no-await-in-loop -- requests run in between
      if (turns.isOver) await turns.next();
    }
    await this.#open(this.#within(change), turns);
    const secured = services.filter(({ service }) => service.ports.some(hasCallerTls));
    if (secured.length === 0) return;
    const keys = new Set(secured.map(({ service }) => service.key));
    const changed = [...this.#wanted].filter(({ service }) => keys.has(service.service.key));
    await this.#review(changed, turns);
  }

  /**
   * Accepts on for up to `lateMs` while callers still come, then no more. Callers are told to go once no thread accepts any more
   * (`othersClosed`): they come back at once, and a listener that closes then would lose them. Resolves with the number of connections
   * that had to be cut after `timeoutMs`.
   */
  async drain(
    timeoutMs: number,
    lateMs = 0,
    othersClosed: () => Promise<void> = () => Promise.resolve(),
  ): Promise<number> {
    this.checker.stop();
    const startMs = this.#clock.nowMs();
    const endMs = startMs + timeoutMs;
    // Who is told, comes back and is led here again, shows that others are led here as well.
    if (lateMs > 0) {
      this.#beginFarewell(timeoutMs);
      for (const listener of this.#listeners.values()) listener.tellToGo();
    }
    await closeQuietly(this.#listeners, this.#clock, Math.min(lateMs, timeoutMs));
    const patienceMs = this.#clock.nowMs() + timeoutMs * OTHERS_SHARE;
    await this.#unless(othersClosed(), Math.min(endMs, patienceMs));
    this.#beginFarewell(Math.max(endMs - this.#clock.nowMs(), 0));
    for (const port of this.#listeners.keys()) this.#close(port);
    await this.#until(() => this.#isEmpty, endMs);
    const cut = this.context.callerConnections;
    for (const listener of this.#leaving) listener.abort();
    this.context.mirrors.cut();
    return cut;
  }

  /** Nobody is waited for: no caller, nor, where its callers are shared out anew as soon as a socket goes, one of another thread. */
  get #isEmpty(): boolean {
    return this.context.callerConnections === 0 && this.#udp.leaving.size === 0;
  }

  /** Whoever is told to go from now on is told because of the drain. */
  #beginFarewell(withinMs: number): void {
    this.context.draining = true;
    this.context.farewellMs = Math.min(FAREWELL_SPREAD_MS, withinMs / 2);
  }

  /** Resolves with `promise`, or at `endMs`. */
  #unless(promise: Promise<void>, endMs: number): Promise<void> {
    let isOver = false;
    void promise.then(() => (isOver = true));
    return this.#until(() => isOver, endMs);
  }

  #until(isOver: () => boolean, endMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.every(DRAIN_POLL_MS, () => {
        if (!isOver() && this.#clock.nowMs() < endMs) return;
        timer.cancel();
        resolve();
      });
    });
  }

  /** The ports to open. Listeners of a namespace or Service with more than its share are closed when others need their descriptors. */
  #within({ opened, closed }: TableChange): readonly PortState[] {
    for (const port of opened) if (isCarried(port.port)) this.#wanted.add(port);
    const { listenersMax } = this.context;
    const isShort = this.#wanted.size > listenersMax;
    if (opened.length + closed.length === 0 || (!isShort && !this.#failures.hasDenied))
      return opened;
    const allowed = portsWithin(this.#wanted, listenersMax);
    const fresh = new Set(opened);
    const open: PortState[] = [];
    for (const port of this.#wanted) {
      if (allowed.has(port)) {
        if (this.#failures.allow(port) || fresh.has(port)) open.push(port);
      } else if (!this.#failures.isDenied(port)) {
        this.#shut(port);
        this.#failures.deny(port);
      }
    }
    return open;
  }

  async #open(ports: readonly PortState[], turns: Turns): Promise<void> {
    for (let i = 0; i < ports.length; i += LISTENS_AT_ONCE) {
      const part = ports.slice(i, i + LISTENS_AT_ONCE);
      // oxlint-disable-next-line no-await-in-loop -- in parts on purpose: requests run in between
      await Promise.all(part.map((port) => this.#listen(port)));
      // oxlint-disable-next-line no-await-in-loop -- as above
      if (turns.isOver) await turns.next();
    }
  }

  async #listen(port: PortState): Promise<void> {
    if (port.closed || this.#failures.isDenied(port) || !isCarried(port.port)) return;
    // Ports that failed are tried again while others are applied.
    if (this.#listeners.has(port)) return;
    if (!this.#hasCertificate(port)) return this.#withhold(port);
    let listener: PortListener | null = null;
    try {
      listener = makeListener(port, this.context, this.requests, this.#udp);
      this.#listeners.set(port, listener);
      await listener.listen();
      this.#failures.mend(port);
      // The port went meanwhile.
      if (this.#listeners.get(port) !== listener) listener.close(() => undefined);
    } catch (error) {
      if (listener !== null && this.#listeners.get(port) !== listener) return;
      this.#listeners.delete(port);
      const { code, service } = this.#failures.fail(port, textAt(error, 'code') || DEFECT);
      if (code === DEFECT) this.context.guard.caught('proxy', error, { service });
      this.#retryLater();
    }
  }

  #check(services: PlacedDelta['services'], removed: readonly string[]): void {
    for (const { service } of services) {
      const state = this.#table.service(service.key);
      if (state === null) this.checker.remove(service.key);
      else this.checker.set(state, this.#table.targetsOf(state));
    }
    for (const key of removed) this.checker.remove(key);
  }

  #break(service: Service, error: unknown): void {
    this.context.guard.caught('proxy', error, { service: service.key });
    const failures = service.ports.filter(isCarried).map((port) => {
      const isShared = port.proxyPort !== 0;
      return {
        service: service.key,
        address: isShared ? '' : service.address,
        port: isShared ? port.proxyPort : port.port,
        code: DEFECT,
      };
    });
    this.#failures.break(service.key, failures);
  }

  #close(port: PortState): void {
    this.#wanted.delete(port);
    this.#failures.allow(port);
    this.#shut(port);
  }

  #shut(port: PortState): void {
    this.#failures.mend(port);
    const listener = this.#listeners.get(port);
    if (listener === undefined) return;
    this.#listeners.delete(port);
    this.#leaving.add(listener);
    listener.close(() => this.#leaving.delete(listener));
  }

  #retryLater(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    this.#clock.after(RETRY_LISTEN_MS, () => {
      this.#retrying = false;
      void this.#open(this.#failures.failed, new Turns(this.#clock)).then(() => this.onRetried());
    });
  }

  /** Called after failed ports were tried again; the thread reports what is left. */
  onRetried: () => void = () => undefined;
}

function hasCallerTls({ callerTls }: ServicePort): boolean {
  return callerTls !== null;
}
