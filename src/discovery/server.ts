/** The controller's end of the stream: who may listen in, and what all of them are told. docs/discovery.md is the format. */

import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';

import type { Clock, Timer } from '../base/clock.ts';
import { codeOf, MeshError } from '../base/error.ts';
import { hash32 } from '../base/hash.ts';
import { Guard } from '../base/guard.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Credential, CredentialChange } from '../model/credential.ts';
import type { Delta, Snapshot } from '../model/service.ts';
import { abilitiesOf, type Abilities } from './abilities.ts';
import { agentLog } from './agent-log.ts';
import { commonFormat, FORMATS, HELLO_BYTES_MAX, welcomeFrame } from './hello.ts';
import type { FormatRange, Hello } from './hello.ts';
import { History } from './history.ts';
import { goAwayFrame } from './message.ts';
import { LogThrottle } from '../base/log-throttle.ts';
import { type Observable, Signal } from '../base/signal.ts';
import { Session, type AgentStatus, type Authenticate } from './session.ts';
import { Handshake, HANDSHAKE_TIMEOUT_MS } from './handshake.ts';
import type { NeedsOf } from './vocabulary.ts';
import { HEARTBEAT_MS, Wire } from './wire.ts';

export interface DiscoveryLimits {
  /** Agents at a time; a further one is told so and closed. Default 1,000. */
  readonly agents: number;
  /** Connections that have not proved who they are; beyond it the newest of the busiest address goes. Default 256. */
  readonly unauthenticated: number;
}

export interface DiscoveryServerOptions {
  /** Host is an IP literal; port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Random per process: versions of another process mean nothing here. */
  readonly epoch: string;
  /** Of this controller, for people. */
  readonly build?: string;
  /** Rejects when it cannot tell now. */
  readonly authenticate: Authenticate;
  /** For how long it has not been known which Pods there are, in milliseconds: agents believe identities for a time only. Default 0. */
  readonly ageMs?: () => number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits?: Partial<DiscoveryLimits>;
  /** Versions of the format to speak; only tests name others than this version of maesh does. */
  readonly formats?: FormatRange;
  /** What Services need of their readers; only tests say otherwise than this version of maesh does. */
  readonly needsOf?: NeedsOf;
}

/** PEM texts; the certificate may be followed by those of its issuers. */
export interface ServerCredentials {
  readonly certPem: string;
  readonly keyPem: string;
}

const AGENTS_MAX = 1_000;
const UNAUTHENTICATED_MAX = 256;
/** For agents to leave when the controller ends. */
const DRAIN_MS_MAX = 10_000;

interface Visitor {
  readonly address: string;
  readonly close: () => void;
}

export class DiscoveryServer {
  readonly #options: DiscoveryServerOptions;
  readonly #limits: DiscoveryLimits;
  readonly #history: History;
  readonly #sessions = new Map<string, Session>();
  /** For callers and endpoints of Services; not what this server proves itself with. */
  readonly #held = new Map<string, Credential>();
  /** Connections before their proof, oldest first, by `address:port`. */
  readonly #unauthenticated = new Map<string, Visitor>();
  readonly #refusals: LogThrottle;
  readonly #agentLog: Log;
  readonly #changes = new Signal();
  /** null when agents came or left since they were asked for. */
  #abilities: Abilities | null = null;
  #credentials: ServerCredentials | null = null;
  #server: Server | null = null;
  #beat: Timer | null = null;
  #closed: Promise<unknown> = Promise.resolve();
  #isDraining = false;
  #onEmpty: () => void = () => undefined;

  constructor(options: DiscoveryServerOptions) {
    this.#options = options;
    this.#limits = { agents: AGENTS_MAX, unauthenticated: UNAUTHENTICATED_MAX, ...options.limits };
    this.#refusals = new LogThrottle(options.clock);
    this.#agentLog = agentLog(options.log, options.clock);
    this.#history = new History({
      clock: options.clock,
      log: options.log,
      onVersion: () => this.#pumpAll(),
      needsOf: options.needsOf,
    });
  }

  /** An agent came, left, or serves another version. */
  get changes(): Observable {
    return this.#changes;
  }

  /** To be called before `start`, and whenever there are new ones; streams that are open go on with the old ones. */
  setCredentials(credentials: ServerCredentials): void {
    this.#credentials = credentials;
    this.#server?.setSecureContext(contextOf(credentials));
  }

  /**
   * Listens. Agents are taken in once something was published.
   * @throws MeshError `invalid_setting` without credentials, else the system's reason
   */
  async start(): Promise<{ readonly host: string; readonly port: number }> {
    const { listen, clock } = this.#options;
    if (this.#credentials === null) {
      throw new MeshError('invalid_setting', 'Cannot serve discovery: it has no certificate yet');
    }
    const server = createServer({
      ...contextOf(this.#credentials),
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      // The agent checks the certificate anew at each connect, so nothing is gained by tickets.
      sessionTimeout: 1,
    });
    server.maxConnections = this.#limits.agents + this.#limits.unauthenticated + 1;
    this.#listenTo(server);
    try {
      server.listen({ host: listen.host, port: listen.port });
      await once(server, 'listening');
    } catch (error) {
      const where = `${listen.host}:${listen.port}`;
      throw new MeshError(
        codeOf(error),
        `Cannot serve discovery on "${where}": ${MeshError.from(error).message}; choose another with --discovery`,
        error,
      );
    }
    server.on('error', (error) => this.#options.log.warn('Discovery server', { error }));
    this.#server = server;
    this.#beat = clock.every(HEARTBEAT_MS, () => {
      for (const session of this.#sessions.values()) session.beat();
    });
    const bound = server.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : listen.port;
    return { host: listen.host, port };
  }

  /** Whatever a connection makes these throw costs that connection. */
  #listenTo(server: Server): void {
    const guard = new Guard(this.#options.clock, this.#options.log);
    const guarded = <S extends Socket>(handle: (socket: S) => void): ((socket: S) => void) =>
      guard.wrap('discovery', handle, (socket) => socket.destroy());
    server.on(
      'connection',
      guarded((socket: Socket) => this.#onConnection(socket)),
    );
    server.on(
      'secureConnection',
      guarded((socket: TLSSocket) => this.#onUnauthenticated(socket)),
    );
    server.on('tlsClientError', (error, socket) => {
      socket.destroy();
      this.#tellRefusal(MeshError.from(error, 'TLS'), socket.remoteAddress ?? '?');
    });
  }

  /** Tells all agents, in time. The version must follow the last one; the first delta has everything. */
  publish(delta: Delta): void {
    this.#history.publish(delta);
  }

  /** What came is told before what is published next, and what went behind what was published before. */
  publishCredentials(change: CredentialChange): void {
    for (const credential of change.changed) this.#held.set(credential.key, credential);
    for (const key of change.removed) this.#held.delete(key);
    for (const session of this.#sessions.values())
      session.credentialsChanged(change, this.#history.published);
    this.#pumpAll();
  }

  /** The latest version that can be sent; 0 before the first, when nobody is taken in. A large delta takes a moment. */
  get version(): number {
    return this.#history.version;
  }

  /** What agents are told at that version. */
  snapshot(): Snapshot {
    return this.#history.snapshot();
  }

  get agentCount(): number {
    return this.#sessions.size;
  }

  agents(): readonly AgentStatus[] {
    return [...this.#sessions.values()].map((session) => session.status());
  }

  /** What all connected agents can do, and who cannot. */
  abilities(): Abilities {
    this.#abilities ??= abilitiesOf([...this.#sessions.values()].map((session) => session.able));
    return this.#abilities;
  }

  /** The version that every connected agent serves at least (0 before its first acknowledgement), or null without agents. */
  minServedVersion(): number | null {
    let least: number | null = null;
    for (const { servedVersion } of this.#sessions.values()) {
      if (least === null || servedVersion < least) least = servedVersion;
    }
    return least;
  }

  /** Takes nobody in any more, sends the agents to another controller, and waits until they have gone, or 10 s. */
  async drain(): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    void this.#closeServer();
    this.#options.log.info('Sending agents to another controller', { agents: this.#sessions.size });
    for (const session of this.#sessions.values()) {
      session.goAway('drain', 'this controller ends');
    }
    if (this.#sessions.size > 0) {
      await new Promise<void>((resolve) => {
        const late = this.#options.clock.after(DRAIN_MS_MAX, resolve);
        this.#onEmpty = () => {
          late.cancel();
          resolve();
        };
      });
    }
    await this.stop();
  }

  /** Closes everything at once; may be called twice. */
  async stop(): Promise<void> {
    this.#beat?.cancel();
    this.#history.close();
    const closed = this.#closeServer();
    for (const visitor of this.#unauthenticated.values()) visitor.close();
    for (const session of this.#sessions.values()) session.close();
    await closed;
  }

  /** Listens no more; resolves when the last connection is gone. */
  async #closeServer(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server !== null) {
      this.#closed = once(server, 'close');
      server.close();
    }
    await this.#closed;
  }

  #pumpAll(): void {
    for (const session of this.#sessions.values()) session.pump();
  }

  #onConnection(socket: Socket): void {
    const id = idOf(socket);
    this.#meet(id, { address: socket.remoteAddress ?? '', close: () => socket.destroy() });
    socket.once('close', () => this.#unauthenticated.delete(id));
  }

  #meet(id: string, visitor: Visitor): void {
    this.#unauthenticated.set(id, visitor);
    if (this.#unauthenticated.size > this.#limits.unauthenticated) this.#dropUnauthenticated();
  }

  /** One who opens connections without end must not keep the others out, nor a fleet that comes back those who are nearly in. */
  #dropUnauthenticated(): void {
    const counts = new Map<string, number>();
    for (const { address } of this.#unauthenticated.values()) {
      counts.set(address, (counts.get(address) ?? 0) + 1);
    }
    const most = Math.max(...counts.values());
    for (const [id, visitor] of [...this.#unauthenticated].toReversed()) {
      if (counts.get(visitor.address) !== most) continue;
      this.#unauthenticated.delete(id);
      visitor.close();
      this.#tellRefusal(
        new MeshError('permission_denied', 'too many connections have not proved who they are'),
        visitor.address,
      );
      return;
    }
  }

  #onUnauthenticated(socket: TLSSocket): void {
    const { clock, authenticate } = this.#options;
    const id = idOf(socket);
    if (!this.#unauthenticated.has(id)) {
      socket.destroy();
      return;
    }
    const wire = new Wire({ socket, clock, payloadBytesMax: HELLO_BYTES_MAX });
    this.#unauthenticated.set(id, {
      address: socket.remoteAddress ?? '',
      close: () => wire.close(null),
    });
    void new Handshake({
      wire,
      authenticate,
      clock,
      onAdmitted: (hello, agent) => {
        this.#unauthenticated.delete(id);
        this.#admit(wire, hello, agent);
      },
      onRefused: (reason) => {
        this.#unauthenticated.delete(id);
        this.#tellRefusal(reason, wire.remote);
      },
    });
  }

  #admit(wire: Wire, hello: Hello, agent: string): void {
    const refusal = this.#refusalOf(hello, agent);
    if (typeof refusal !== 'number') {
      this.#agentLog.warn('Turned an agent away', { agent, node: hello.node, ...refusal });
      wire.onEnd = () => undefined;
      wire.finish(goAwayFrame(refusal.reason, refusal.detail));
      return;
    }
    this.#sessions.get(agent)?.finish('replaced', 'the same agent connected again');
    const { build, authenticate, ageMs = () => 0, clock, random } = this.#options;
    const log = this.#agentLog;
    const epoch = this.#epochFor(hello);
    const session = new Session({
      wire,
      agent,
      hello,
      format: refusal,
      resume: hello.resume?.epoch === epoch ? hello.resume.version : 0,
      history: this.#history,
      credentials: this.#held,
      authenticate,
      ageMs,
      clock,
      random,
      log,
      onChange: () => this.#changes.tell(),
      onEnd: (ended) => this.#onLeft(ended),
    });
    this.#sessions.set(agent, session);
    this.#abilities = null;
    wire.send(
      welcomeFrame({ format: refusal, epoch, build: build ?? '', synced: true, ageMs: ageMs() }),
    );
    wire.resume();
    session.pump();
    log.info('An agent came', { agent, node: hello.node, build: hello.build, remote: wire.remote });
    this.#changes.tell();
  }

  /**
   * Two agents that understand different things are told different things of the same version. So each understanding has an
   * epoch of its own: an agent that comes back as another version of maesh gets a snapshot.
   */
  #epochFor({ understands }: Hello): string {
    const { epoch } = this.#options;
    if (understands.length === 0) return epoch;
    return `${epoch}.${hash32(understands.toSorted().join()).toString(16)}`;
  }

  /** The format to speak, or why not. */
  #refusalOf(
    hello: Hello,
    agent: string,
  ):
    | number
    | { readonly reason: 'format' | 'not_ready' | 'full' | 'drain'; readonly detail: string } {
    const formats = this.#options.formats ?? FORMATS;
    const format = commonFormat(formats, hello.formats);
    if (format === null) {
      const { min, max } = hello.formats;
      return {
        reason: 'format',
        detail: `the agent speaks formats ${min} to ${max}, the controller ${formats.min} to ${formats.max}: bring both to versions next to each other`,
      };
    }
    if (this.#isDraining) return { reason: 'drain', detail: 'this controller ends' };
    if (this.#history.version === 0) {
      return { reason: 'not_ready', detail: 'this controller has not read the cluster yet' };
    }
    if (this.#sessions.size >= this.#limits.agents && !this.#sessions.has(agent)) {
      return { reason: 'full', detail: `this controller has ${this.#limits.agents} agents` };
    }
    return format;
  }

  #onLeft(session: Session): void {
    if (this.#sessions.get(session.agent) === session) this.#sessions.delete(session.agent);
    this.#abilities = null;
    this.#changes.tell();
    if (this.#sessions.size === 0) this.#onEmpty();
  }

  #tellRefusal(reason: MeshError, remote: string): void {
    this.#refusals.run((skipped) =>
      this.#options.log.warn('Refused a connection', {
        remote,
        error: reason,
        alsoRefused: skipped,
      }),
    );
  }
}

function contextOf({ certPem, keyPem }: ServerCredentials): SecureContextOptions {
  return { cert: certPem, key: keyPem, minVersion: 'TLSv1.3' };
}

function idOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`;
}
