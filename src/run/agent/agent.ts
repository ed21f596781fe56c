/** One node of the mesh: the proxy threads, what governs them, and the names; fed with deltas by whoever compiles them. */

import { type Clock, delay } from '../../base/clock.ts';
import { Guard } from '../../base/guard.ts';
import type { Log } from '../../base/log.ts';
import { letMemoryGrow } from '../../base/memory.ts';
import { LogThrottle } from '../../base/log-throttle.ts';
import { type Observable, Signal } from '../../base/signal.ts';
import type { ListenAddress } from '../../base/wildcard.ts';
import { ServiceView } from '../../dns/view.ts';
import { type DnsEvent, DnsServer } from '../../dns/server.ts';
import { aboutKey } from '../../model/object-reference.ts';
import type { CredentialChange } from '../../model/credential.ts';
import type { Delta, Problem } from '../../model/service.ts';
import type { ProxySettings } from '../../model/settings.ts';
import { Ledger } from '../../proxy/ledger/ledger.ts';
import { Placement } from '../../proxy/ledger/placement.ts';
import { Governor } from '../../proxy/policy/governor.ts';
import { NO_CERTIFICATE } from '../../proxy/thread/message.ts';
import { ThreadPool } from '../../proxy/thread/thread-pool.ts';

export interface AgentOptions {
  readonly threads: number;
  readonly proxy: ProxySettings;
  readonly dns: ListenAddress | null;
  readonly domains: readonly string[];
  readonly dnsTtlSeconds: number;
  readonly serviceCidr: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Of the process; it counts defects. */
  readonly guard?: Guard;
}

export interface Readiness {
  readonly ready: boolean;
  /** What is missing, as sentences. */
  readonly pending: readonly string[];
}

/** A thread that takes nothing new for so long hangs. */
const STALLED_MS = 30_000;

export class Agent {
  readonly ledger: Ledger;
  readonly services = new ServiceView();
  readonly dns: DnsServer | null;
  /** Where names are answered once started. */
  dnsAddress: ListenAddress | null = null;
  readonly threads: ThreadPool;
  readonly governor: Governor;
  readonly guard: Guard;
  readonly #placement: Placement;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #changes = new Signal();
  readonly #waiting: { version: number; resolve: () => void }[] = [];
  #draining = false;
  /** Once most ports of a configuration were open. */
  #hasServed = false;

  constructor(options: AgentOptions) {
    const { clock, log } = options;
    this.#log = log;
    this.#clock = clock;
    this.guard = options.guard ?? new Guard(clock, log);
    this.ledger = new Ledger(options.threads);
    this.#placement = new Placement(this.ledger, clock);
    this.governor = new Governor(this.ledger, clock);
    this.threads = new ThreadPool({
      count: options.threads,
      settings: options.proxy,
      ledger: this.ledger,
      clock,
      log,
      guard: this.guard,
      onChange: () => this.#onThreads(),
    });
    this.dns = options.dns === null ? null : this.#makeDns(options.dns, options);
  }

  /** A thread served a version, failed, or came back. */
  get changes(): Observable {
    return this.#changes;
  }

  /** Resolves once the threads are warm. */
  async start(): Promise<void> {
    await this.threads.start();
    this.governor.start();
  }

  /**
   * Answers names from now on. To be called once there is a configuration: without one every name would be said not to exist,
   * and resolvers would remember that.
   */
  async answerNames(): Promise<void> {
    const bound = await this.dns?.start();
    if (bound !== undefined) this.dnsAddress = { host: bound.address, port: bound.port };
    this.#changes.tell();
  }

  /** Hands a change to every part; it is live when `served(version)` resolves. */
  apply(delta: Delta): void {
    if (!this.#hasServed) letMemoryGrow(delta.services.length);
    this.services.apply(delta);
    // Figures first: a Service's retry budget must be there before its first request.
    const placed = this.#placement.place(delta);
    for (const service of delta.services) this.governor.setService(service);
    for (const key of delta.removedServices) this.governor.removeService(key);
    this.threads.publish(placed);
  }

  /** What comes is to be told before the delta that names it, and what goes behind the one that does not. */
  applyCredentials(change: CredentialChange): void {
    this.threads.publishCredentials(change);
  }

  /** Resolves once every thread serves `version`. */
  served(version: number): Promise<void> {
    if (this.threads.servedVersion >= version) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ version, resolve }));
  }

  readiness(): Readiness {
    const pending: string[] = [];
    const { servedVersion, publishedVersion, alive } = this.threads;
    if (this.#draining) pending.push('the mesh is shutting down');
    if (alive === 0) pending.push('no proxy thread is alive');
    if (this.dns !== null && this.dnsAddress === null) pending.push('DNS is not ready yet');
    if (publishedVersion === 0) pending.push('no configuration was read yet');
    else if (servedVersion < publishedVersion && !this.#isUpdating()) {
      pending.push(
        `version ${publishedVersion} is not served by every thread, version ${servedVersion} is`,
      );
    }
    // Later such a port costs its own Service: what has the same cause on every node must not take the mesh away.
    if (!this.#hasServed && this.#isMostlyClosed()) {
      for (const failure of this.threads.failures) {
        pending.push(
          `cannot listen on ${failure.address}:${failure.port} for ${failure.service}: ${failure.code}`,
        );
      }
    }
    return { ready: pending.length === 0, pending };
  }

  /** Whether every thread serves callers as before and goes on taking what is new: a large update must not make a node unready. */
  #isUpdating(): boolean {
    const { isComplete, stalledMs } = this.threads;
    return this.#hasServed && isComplete && stalledMs < STALLED_MS;
  }

  #isMostlyClosed(): boolean {
    const { failures, listeners } = this.threads;
    // Where a certificate is missing all else is served: a node without a controller must not stay away for it.
    return failures.filter(({ code }) => code !== NO_CERTIFICATE).length > listeners;
  }

  /** Ports that cannot be listened on, as problems with a way out. */
  problems(): readonly Problem[] {
    return this.threads.failures.map((failure) => ({
      severity: 'error',
      ...aboutKey('Service', failure.service),
      field: 'spec.ports',
      value: String(failure.port),
      message: `Cannot listen on ${failure.address}:${failure.port}: ${LISTEN_CAUSES[failure.code] ?? failure.code}`,
      remedy:
        LISTEN_REMEDIES[failure.code] ?? 'see the system error code; maesh retries every second',
      location: '',
    }));
  }

  /** Not ready from now on, and serving as before. */
  retire(): void {
    this.#draining = true;
    this.#changes.tell();
  }

  /**
   * Accepts no more and finishes what runs, within `timeoutMs`. Names are answered for `lateMs` at least, and callers who
   * still come in that time are served.
   */
  async drain(timeoutMs: number, lateMs = 0): Promise<void> {
    this.#draining = true;
    this.#log.info('Draining', { timeoutMs });
    await Promise.all([this.threads.drain(timeoutMs, lateMs), delay(this.#clock, lateMs)]);
    await this.#stopRest();
  }

  async stop(): Promise<void> {
    await this.threads.stop();
    await this.#stopRest();
  }

  async #stopRest(): Promise<void> {
    this.governor.stop();
    await this.dns?.stop();
  }

  #onThreads(): void {
    const { servedVersion } = this.threads;
    if (servedVersion > 0 && !this.#isMostlyClosed()) this.#hasServed = true;
    this.#changes.tell();
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      const waiting = this.#waiting[i];
      if (waiting === undefined || waiting.version > servedVersion) continue;
      this.#waiting.splice(i, 1);
      waiting.resolve();
    }
  }

  #makeDns(address: ListenAddress, options: AgentOptions): DnsServer {
    // Callers can cause these without end.
    const throttles = {
      socket_error: new LogThrottle(options.clock),
      evicted: new LogThrottle(options.clock),
    };
    return new DnsServer({
      address: address.host,
      port: address.port,
      domains: options.domains,
      ttlSeconds: options.dnsTtlSeconds,
      serviceCidr: options.serviceCidr,
      view: this.services,
      clock: options.clock,
      guard: this.guard,
      onEvent: (event) => throttles[event.kind].run((skipped) => this.#tellDns(event, skipped)),
    });
  }

  #tellDns(event: DnsEvent, skipped: number): void {
    if (event.kind === 'evicted') {
      const { source } = event;
      this.#log.warn(TOO_MANY_DNS, { source, alsoClosed: skipped });
    } else this.#log.warn('DNS server', { error: event.error, alsoFailed: skipped });
  }
}

const TOO_MANY_DNS =
  'Too many DNS connections over TCP: closed an idle one of the source with the most connections';

const LISTEN_CAUSES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process uses the port',
  EACCES: 'this user may not listen on ports below 1024',
  EADDRNOTAVAIL: 'the address does not belong to this machine',
  EMFILE: 'the process has too many open files',
  ENFILE: 'the system has too many open files',
  DEFECT: 'a defect in maesh keeps the Service from being served',
  NO_CERTIFICATE: 'its callers speak TLS, and the certificate of its Secret is not here',
};

const LISTEN_REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'stop the other process or give the Service another port; maesh retries every second',
  EACCES:
    'use a port of 1024 or above, or allow it: "sysctl net.ipv4.ip_unprivileged_port_start=0"',
  EADDRNOTAVAIL: 'use a --service-cidr inside 127.0.0.0/8 on Linux',
  EMFILE: 'raise the limit of open files: "ulimit -n"',
  ENFILE: 'raise fs.file-max',
  NO_CERTIFICATE:
    'keys are kept nowhere: they come with the next controller that this node is connected to',
  DEFECT: 'report the defect as the log shows it; the Service is tried again when it changes',
};
