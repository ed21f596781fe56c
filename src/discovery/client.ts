/**
 * The agent's end of the stream: what it knows, from a controller or from disk, told as deltas that grow by one whatever
 * happens to connections and controllers.
 *
 * ```
 *              welcome                  first commit
 *  connecting ─────────► (receiving) ─────────────────► synced
 *      ▲ nothing is known     │                          │   goAway: looks for another, drops this one then
 *      └──────────────────────┴──── connection ends ─────┘
 *                             stale, once anything is known: it goes on with that
 * ```
 */

import { type Clock, delay, type Timer } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { CredentialChange } from '../model/credential.ts';
import type { Delta, Snapshot } from '../model/service.ts';
import type { Trouble } from '../model/trouble.ts';
import { Backoff, type BackoffBounds } from '../base/backoff.ts';
import { readCopy } from './copy.ts';
import { dial, type Address } from './dial.ts';
import {
  CAPABILITIES,
  FORMATS,
  type AgentNames,
  type Capabilities,
  type FormatRange,
  type Position,
  type Welcome,
} from './hello.ts';
import { CopyWriter } from './copy-writer.ts';
import { CredentialState } from './credential-state.ts';
import { Link, type Committed } from './link.ts';
import { isEqual } from '../base/equal.ts';
import type { Shortcomings } from './message.ts';
import { Pool } from './pool.ts';
import { MeshState } from './mesh-state.ts';
import type { Refused } from './understanding.ts';
import { Versions } from './versions.ts';
import type { Wire } from './wire.ts';

export type DiscoveryState = 'connecting' | 'synced' | 'stale';

export interface DiscoveryStatus {
  readonly state: DiscoveryState;
  /** `address:port` of the controller, or null. */
  readonly server: string | null;
  /** The controller's version that is known; 0 for none. */
  readonly version: number;
  /** Clock milliseconds when the state began. */
  readonly sinceMs: number;
  /** Why there is no connection, or why the last one ended. */
  readonly lastError: string | null;
  /** Clock milliseconds at which it was known last who callers are; -Infinity when never. */
  readonly confirmedAtMs: number;
  /** Where what is known comes from. */
  readonly from: 'copy' | 'controller' | 'nothing';
}

export interface DiscoveryClientOptions {
  /** Names are looked up at each dial, and all their addresses are tried in random order. */
  readonly address: Address | readonly Address[];
  /** What the controller's certificate must be for. */
  readonly serverName: string;
  /** PEM bundle, asked for at each connect. */
  readonly ca: () => Promise<string>;
  /** Asked for at each connect, and when the controller wants a newer one. */
  readonly token: () => Promise<string>;
  readonly hello: AgentNames;
  /** Folder of the last good copy; null keeps none. */
  readonly stateDir: string | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The first one has everything, be it nothing; versions grow by one. */
  readonly onDelta: (delta: Delta) => void;
  /** What comes is told before the delta that names it, and what goes behind the one that does not. */
  readonly onCredentials?: (change: CredentialChange) => void;
  readonly onState?: (state: DiscoveryState) => void;
  /** Other Services are refused now, see `refused()`. */
  readonly onRefused?: () => void;
  /** Versions of the format to speak; only tests name others than this version of maesh does. */
  readonly formats?: FormatRange;
  /** What this agent says it can do; only tests say otherwise than this version of maesh does. */
  readonly capabilities?: Capabilities;
}

/** Lines in the log for one change. */
const REFUSED_TOLD_MAX = 5;
/** While connected the copy on disk is marked as true this often. */
const CONFIRM_MS = 60_000;
/** For the token and the certificates to be read. */
const CREDENTIALS_TIMEOUT_MS = 30_000;
/** A connection that was in order for this long starts the back-off anew. */
const STEADY_MS = 10_000;
const RECONNECT_MS_MAX = 10_000;
const RECONNECT: BackoffBounds = { firstMs: 200, lastMs: RECONNECT_MS_MAX };

export class DiscoveryClient {
  readonly #options: DiscoveryClientOptions;
  readonly #addresses: readonly Address[];
  readonly #meshState = new MeshState();
  readonly #credentialState: CredentialState;
  readonly #pool = new Pool();
  readonly #versions = new Versions();
  readonly #backoff: Backoff;
  readonly #copyWriter: CopyWriter | null;
  readonly #abort = new AbortController();
  #link: Link | null = null;
  /** Of what is known. */
  #position: Position | null = null;
  #from: DiscoveryStatus['from'] = 'nothing';
  #state: DiscoveryState = 'connecting';
  #sinceMs: number;
  #lastError: string | null = null;
  /** By the copy and links that are over. */
  #confirmedAtMs = -Infinity;
  #failures: readonly string[] = [];
  /** As the controller of the link knows it. */
  #acknowledged: ({ readonly version: number } & Shortcomings) | null = null;
  /** As it was told last. */
  #refused: readonly Refused[] = [];
  #troubles: readonly Trouble[] = [];
  /** As the controller of the link knows them. */
  #reported: readonly Trouble[] = [];
  #seeking: Promise<void> | null = null;
  #confirming: Timer | null = null;

  constructor(options: DiscoveryClientOptions) {
    const { address, stateDir, clock, random, log } = options;
    this.#options = options;
    this.#addresses = 'host' in address ? [address] : address;
    this.#backoff = new Backoff(random, RECONNECT);
    this.#credentialState = new CredentialState((change) => options.onCredentials?.(change));
    this.#sinceMs = clock.nowMs();
    this.#copyWriter =
      stateDir === null
        ? null
        : new CopyWriter({
            stateDir,
            contents: this.#meshState,
            clock,
            log,
            confirmedAtMs: () => this.status().confirmedAtMs,
          });
  }

  /** Resolves once the copy on disk was read, and told if there is one; looks for a controller from then on. */
  async start(): Promise<void> {
    await this.#readCopy();
    this.#confirming = this.#options.clock.every(CONFIRM_MS, () => this.#confirm());
    this.#seek(false);
  }

  /** The agent serves its version `version`, but for these ports (as sentences). */
  acknowledge(version: number, failures: readonly string[]): void {
    this.#versions.serve(version);
    this.#failures = failures;
    this.#acknowledge();
  }

  /** Services that fail callers of this node now; told to each controller that it is connected to. */
  report(troubles: readonly Trouble[]): void {
    this.#troubles = troubles;
    this.#report();
  }

  /** What is known, from whatever it came; the maps are live. */
  snapshot(): Snapshot {
    return this.#meshState;
  }

  /** Services that are not served, since they say what this version of maesh does not know. */
  refused(): readonly Refused[] {
    return this.#refused;
  }

  status(): DiscoveryStatus {
    return {
      state: this.#state,
      server: this.#link?.remote ?? null,
      version: this.#position?.version ?? 0,
      sinceMs: this.#sinceMs,
      lastError: this.#lastError,
      confirmedAtMs: Math.max(this.#confirmedAtMs, this.#link?.confirmedAtMs ?? -Infinity),
      from: this.#from,
    };
  }

  /** Hangs up and connects again; what is known stays. */
  restart(): void {
    this.#link?.close();
    this.#seek(false);
  }

  /** Hangs up, and writes the copy if it is not up to date. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#confirming?.cancel();
    this.#link?.close();
    await this.#seeking;
    await this.#copyWriter?.stop();
  }

  async #readCopy(): Promise<void> {
    const { stateDir, log } = this.#options;
    if (stateDir === null) return;
    const copy = await readCopy(stateDir, this.#pool, this.#options);
    if (copy === null || this.#abort.signal.aborted) return;
    this.#meshState.beginSnapshot();
    for (const part of copy.parts) this.#meshState.add(part);
    const delta = this.#meshState.commit(copy.parts.length);
    this.#copyWriter?.restore(copy.position, true, copy.frames);
    this.#position = copy.position;
    this.#confirmedAtMs = copy.confirmedAtMs;
    this.#from = 'copy';
    this.#versions.add(this.#meshState.version, copy.position.version);
    log.info('Started from the last good copy', { services: this.#meshState.services.size });
    this.#updateState();
    this.#tellRefused();
    if (delta !== null) this.#options.onDelta(delta);
  }

  /** Looks for a controller unless that is under way, until there is one. */
  #seek(isWaiting: boolean): void {
    if (this.#seeking !== null) return;
    this.#seeking = this.#seekOn(isWaiting).finally(() => {
      this.#seeking = null;
    });
  }

  async #seekOn(isWaiting: boolean): Promise<void> {
    const { signal } = this.#abort;
    const pause = (): Promise<void> => delay(this.#options.clock, this.#backoff.fail(), signal);
    if (isWaiting) await pause();
    while (!signal.aborted && (this.#link === null || this.#link.isLeaving)) {
      try {
        await this.#dial();
      } catch (error) {
        this.#onFailure(MeshError.from(error));
      }
      if (this.#link === null || this.#link.isLeaving) await pause();
    }
  }

  async #dial(): Promise<void> {
    const { serverName, hello, clock, random, formats, capabilities } = this.#options;
    const [ca, token] = await this.#credentials();
    const resume = this.#position;
    await dial({
      addresses: this.#addresses,
      serverName,
      ca,
      hello: {
        formats: formats ?? FORMATS,
        ...(capabilities ?? CAPABILITIES),
        ...hello,
        token,
        resume,
      },
      clock,
      random,
      signal: this.#abort.signal,
      onWelcome: (wire, welcome) => this.#onWelcome(wire, welcome, resume),
    });
  }

  #credentials(): Promise<[string, string]> {
    const { clock, ca, token } = this.#options;
    return new Promise((resolve, reject) => {
      const late = clock.after(CREDENTIALS_TIMEOUT_MS, () =>
        reject(
          new MeshError('connect_timeout', 'Cannot read the token and the CA bundle: no answer'),
        ),
      );
      const { signal } = this.#abort;
      const onAbort = (): void => reject(new MeshError('unknown', 'This agent stops'));
      signal.addEventListener('abort', onAbort);
      Promise.all([ca(), token()])
        .then(resolve, (error: unknown) =>
          reject(MeshError.from(error, 'Cannot read the token or the CA bundle')),
        )
        .finally(() => {
          late.cancel();
          signal.removeEventListener('abort', onAbort);
        });
    });
  }

  #onWelcome(wire: Wire, welcome: Welcome, resume: Position | null): void {
    if (resume !== this.#position && resume?.epoch === welcome.epoch) {
      throw new MeshError('unreachable', 'The stream went on while this agent came back to it');
    }
    const old = this.#link;
    const link = new Link({
      wire,
      welcome,
      resume,
      meshState: this.#meshState,
      pool: this.#pool,
      keepFrames: this.#copyWriter !== null,
      clock: this.#options.clock,
      onCommitted: (committed) => this.#onCommitted(committed),
      onCredentials: (message) => this.#credentialState.take(message),
      onGoAway: ({ reason, detail }) => {
        this.#options.log.info('The controller sends this agent to another one', {
          reason,
          detail,
        });
        this.#seek(true);
      },
      onAskToken: () => this.#sendToken(link),
      onEnd: (error) => this.#onLinkEnd(link, error),
    });
    // From here on only the new one is listened to, so the two never mix.
    this.#link = link;
    this.#acknowledged = null;
    this.#reported = [];
    this.#meshState.abort();
    this.#credentialState.abort();
    old?.close();
    this.#options.log.info('Connected to a controller', {
      server: link.remote,
      build: welcome.build,
      format: welcome.format,
    });
    // The state stays until the new one has sent something, or ended: a hand-over is no outage.
  }

  #onCommitted({ position, isSnapshot, delta, frames }: Committed): void {
    if (position.epoch !== this.#position?.epoch) this.#versions.reset();
    const isNews = isSnapshot || frames.length > 0;
    if (isNews) this.#copyWriter?.add(position, isSnapshot, frames);
    this.#position = position;
    this.#from = 'controller';
    this.#lastError = null;
    this.#versions.add(this.#meshState.version, position.version);
    this.#tellRefused();
    if (delta !== null) this.#options.onDelta(delta);
    this.#credentialState.committed();
    this.#updateState();
    this.#acknowledge();
    this.#report();
  }

  #confirm(): void {
    if (this.#link?.isSynced === true) this.#copyWriter?.confirm();
  }

  #tellRefused(): void {
    const refused = [...this.#meshState.refused.values()];
    if (isEqual(refused, this.#refused)) return;
    this.#refused = refused;
    for (const { key, unknown } of refused.slice(0, REFUSED_TOLD_MAX)) {
      this.#options.log.error('Refused a Service: it says what this version does not know', {
        service: key,
        unknown: unknown.join(', '),
        services: refused.length,
        remedy: 'bring this agent to the version of the controller',
      });
    }
    this.#options.onRefused?.();
  }

  #acknowledge(): void {
    const link = this.#link;
    const { served } = this.#versions;
    // Before its first commit the controller of a new connection knows of no version to acknowledge.
    if (link === null || !link.isSynced || served === 0) return;
    const shortcomings = { failures: this.#failures, refused: this.#refused };
    const next = { version: served, ...shortcomings };
    if (isEqual(next, this.#acknowledged)) return;
    this.#acknowledged = next;
    link.acknowledge(served, shortcomings);
  }

  #report(): void {
    if (this.#link?.isSynced !== true || isEqual(this.#troubles, this.#reported)) return;
    this.#reported = this.#troubles;
    this.#link.report(this.#troubles);
  }

  #sendToken(link: Link): void {
    this.#options.token().then(
      (token) => link.sendToken(token),
      (error: unknown) =>
        this.#options.log.warn('Cannot read the token: the controller will hang up', {
          error: MeshError.from(error),
        }),
    );
  }

  #onLinkEnd(link: Link, error: MeshError | null): void {
    this.#confirmedAtMs = Math.max(this.#confirmedAtMs, link.confirmedAtMs);
    if (link !== this.#link) return;
    this.#link = null;
    this.#meshState.abort();
    this.#credentialState.abort();
    if (this.#options.clock.nowMs() - link.syncedAtMs >= STEADY_MS) this.#backoff.reset();
    if (this.#abort.signal.aborted) return;
    this.#onFailure(
      error ?? new MeshError('connection_reset', `The controller at ${link.remote} hung up`),
    );
    this.#updateState();
    this.#seek(true);
  }

  /** The same reason again and again is told once. */
  #onFailure(error: MeshError): void {
    if (this.#abort.signal.aborted) return;
    const { log } = this.#options;
    if (error.message === this.#lastError) log.debug('No controller', { error });
    else log.warn('No controller: going on with what is known', { error });
    this.#lastError = error.message;
  }

  #updateState(): void {
    const isSynced = this.#link?.isSynced === true;
    const state = isSynced ? 'synced' : this.#meshState.version > 0 ? 'stale' : 'connecting';
    if (state === this.#state) return;
    this.#state = state;
    this.#sinceMs = this.#options.clock.nowMs();
    this.#options.onState?.(state);
  }
}
