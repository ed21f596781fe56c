/**
 * One agent on the server's side, from its welcome to its end. What it is sent is pulled out of the archive when there is room,
 * so an agent that reads slowly costs a bounded number of bytes, and later reads less.
 */

import type { Clock, Timer } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Trouble } from '../model/trouble.ts';
import type { AbleAgent } from './abilities.ts';
import type { Credential, CredentialChange } from '../model/credential.ts';
import { CredentialCursor } from './credential-wire.ts';
import { Cursor } from './cursor.ts';
import { FRAME_TYPE, type Frame } from './frame.ts';
import type { Hello } from './hello.ts';
import type { History } from './history.ts';
import {
  askTokenFrame,
  goAwayFrame,
  heartbeatFrame,
  MESSAGE_BYTES_MAX,
  readAcknowledge,
  readToken,
  type GoAwayReason,
  type Shortcomings,
} from './message.ts';
import type { Understanding } from './part-frame.ts';
import type { Refused } from './understanding.ts';
import { readReport } from './report.ts';
import { skip, type Wire } from './wire.ts';

/** What the controller knows of a connected agent. */
export interface AgentStatus {
  /** Who its token says it is, such as `maesh/maesh-agent-x7k2p`. */
  readonly agent: string;
  /** As it says itself. */
  readonly node: string;
  readonly build: string;
  /** Version of the format of the stream. */
  readonly protocol: number;
  /** Clock milliseconds. */
  readonly connectedAtMs: number;
  /** 0 while its first snapshot is on its way. */
  readonly sentVersion: number;
  /** 0 before its first acknowledgement. */
  readonly servedVersion: number;
  /** Ports that it cannot listen on, as sentences. */
  readonly listenFailures: readonly string[];
  /** For how long there has been a version that it does not serve; 0 when it serves the latest. */
  readonly lagMs: number;
  /** Services that fail its callers; none from an agent that does not tell. */
  readonly troubles: readonly Trouble[];
  readonly remote: string;
  /** What it carries, as `carriageOf` names it. */
  readonly carries: readonly string[];
  /** Services that it does not serve, since they need what it does not understand. */
  readonly notServed: readonly Refused[];
}

/** For people: name, node and version. */
export function describeAgent({
  agent,
  node,
  build,
}: Pick<AgentStatus, 'agent' | 'node' | 'build'>): string {
  return `${agent} on ${node === '' ? 'an unknown node' : node} (${build === '' ? 'unknown version' : build})`;
}

/** A definite answer; what cannot be checked now is thrown. */
export type Authenticated =
  | { readonly ok: true; readonly agent: string }
  | { readonly ok: false; readonly reason: string };
export type Authenticate = (token: string, peer: string) => Promise<Authenticated>;

export interface SessionOptions {
  readonly wire: Wire;
  readonly agent: string;
  readonly hello: Hello;
  readonly format: number;
  /** Version of this very stream that the agent has; 0 for nothing. */
  readonly resume: number;
  readonly history: History;
  /** By key, as they are now. */
  readonly credentials: ReadonlyMap<string, Credential>;
  readonly authenticate: Authenticate;
  /** For how long the controller has not heard of Pods. */
  readonly ageMs: () => number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Called when it serves another version, or fails to listen elsewhere. */
  readonly onChange: () => void;
  readonly onEnd: (session: Session) => void;
}

/** Bytes on their way to one agent. */
const UNSENT_BYTES_MAX = 128 * 1024;
/** The token is asked for again after this time, give or take a fifth, so that not all agents are asked at once. */
const REAUTHENTICATE_MS = 600_000;
/** For the agent to answer with a token. */
const TOKEN_TIMEOUT_MS = 60_000;

export class Session {
  readonly agent: string;
  readonly #options: SessionOptions;
  readonly #wire: Wire;
  readonly #understanding: Understanding;
  readonly #cursor: Cursor;
  readonly #credentials: CredentialCursor;
  readonly #connectedAtMs: number;
  #servedVersion = 0;
  #shortcomings: Shortcomings = { failures: [], refused: [] };
  #troubles: readonly Trouble[] = [];
  #token: Timer;
  #isAsked = false;

  constructor(options: SessionOptions) {
    const { wire, history, clock } = options;
    this.agent = options.agent;
    this.#options = options;
    this.#wire = wire;
    this.#understanding = new Set(options.hello.understands);
    this.#cursor = new Cursor(history.archive, options.resume, this.#understanding);
    this.#credentials = new CredentialCursor(options.credentials, this.#understanding);
    this.#connectedAtMs = clock.nowMs();
    this.#token = this.#askLater();
    wire.payloadBytesMax = MESSAGE_BYTES_MAX;
    wire.onFrame = (frame) => this.#onFrame(frame);
    wire.onDrain = () => this.pump();
    wire.onEnd = (error) => this.#onEnd(error);
  }

  get servedVersion(): number {
    return this.#servedVersion;
  }

  status(): AgentStatus {
    const { hello, format, history, clock } = this.#options;
    const connectedMs = clock.nowMs() - this.#connectedAtMs;
    return {
      agent: this.agent,
      node: hello.node,
      build: hello.build,
      protocol: format,
      connectedAtMs: this.#connectedAtMs,
      sentVersion: this.#cursor.sentVersion,
      servedVersion: this.#servedVersion,
      listenFailures: this.#shortcomings.failures,
      lagMs: Math.min(history.lagMs(this.#servedVersion), connectedMs),
      troubles: this.#troubles,
      remote: this.#wire.remote,
      carries: hello.carries,
      notServed: this.#notServed(),
    };
  }

  /** What it can do. */
  get able(): AbleAgent {
    const { hello } = this.#options;
    return { ...hello, description: describeAgent({ ...hello, agent: this.agent }) };
  }

  /** What it was not sent, and what it refused nevertheless. */
  #notServed(): readonly Refused[] {
    const withheld = this.#options.history.withheldFrom(this.#understanding);
    const keys = new Set(withheld.map(({ key }) => key));
    return [...withheld, ...this.#shortcomings.refused.filter(({ key }) => !keys.has(key))];
  }

  /** Sends what is new, as far as there is room; goes on by itself once there is. */
  pump(): void {
    while (this.#wire.isOpen && this.#wire.unsentBytes < UNSENT_BYTES_MAX) {
      const frames =
        this.#credentials.next() ??
        this.#cursor.next() ??
        this.#credentials.last(this.#cursor.sentVersion);
      if (frames === null) return;
      this.#wire.send(...frames);
    }
  }

  /** `after` is the version that names none of the removed any more. To be followed by `pump`. */
  credentialsChanged({ changed, removed }: CredentialChange, after: number): void {
    for (const { key } of changed) this.#credentials.changed(key);
    for (const key of removed) this.#credentials.removed(key, after);
  }

  /** To be called every `HEARTBEAT_MS`. */
  beat(): void {
    if (this.#wire.isSilent()) {
      this.#wire.close(new MeshError('connect_timeout', 'it was silent for too long'));
    } else if (this.#wire.unsentBytes === 0) {
      this.#wire.send(heartbeatFrame(this.#options.ageMs()));
    }
  }

  /** Asks it to leave, and goes on serving it meanwhile. */
  goAway(reason: GoAwayReason, detail: string): void {
    this.#wire.send(goAwayFrame(reason, detail));
  }

  /** Tells it why, and hangs up. */
  finish(reason: GoAwayReason, detail: string): void {
    this.#wire.finish(goAwayFrame(reason, detail));
  }

  close(): void {
    this.#wire.close(null);
  }

  #onFrame(frame: Frame): void {
    switch (frame.type) {
      case FRAME_TYPE.acknowledge:
        this.#acknowledge(frame);
        return;
      case FRAME_TYPE.token:
        this.#checkToken(readToken(frame));
        return;
      case FRAME_TYPE.report:
        this.#troubles = readReport(frame);
        this.#options.onChange();
        return;
      case FRAME_TYPE.heartbeat:
        return;
      default:
        skip(frame);
    }
  }

  #acknowledge(frame: Frame): void {
    if (frame.version > this.#cursor.sentVersion) {
      throw new MeshError(
        'invalid_input',
        `it acknowledges version ${frame.version}, and was sent ${this.#cursor.sentVersion}`,
      );
    }
    this.#shortcomings = readAcknowledge(frame);
    this.#servedVersion = frame.version;
    this.#options.onChange();
  }

  #askLater(): Timer {
    const { clock, random } = this.#options;
    this.#isAsked = false;
    return clock.after(REAUTHENTICATE_MS * (0.8 + 0.4 * random.next()), () => {
      this.#isAsked = true;
      this.#wire.send(askTokenFrame());
      this.#token = clock.after(TOKEN_TIMEOUT_MS, () =>
        this.#wire.close(new MeshError('permission_denied', 'it did not renew its token')),
      );
    });
  }

  #checkToken(token: string): void {
    if (!this.#isAsked) {
      throw new MeshError('invalid_input', 'it sent a token that it was not asked for');
    }
    this.#token.cancel();
    this.#token = this.#askLater();
    const { authenticate, log } = this.#options;
    authenticate(token, this.#wire.remote).then(
      (answer) => {
        const reason = !answer.ok
          ? answer.reason
          : answer.agent === this.agent
            ? null
            : `it is of ${answer.agent}`;
        if (reason === null) return;
        this.#wire.close(new MeshError('permission_denied', `its new token is refused: ${reason}`));
      },
      // Without an API server nobody can be checked, and cutting off all agents would help no one.
      (error: unknown) =>
        log.warn('Cannot check the new token of an agent: it stays connected', {
          agent: this.agent,
          error: MeshError.from(error),
        }),
    );
  }

  #onEnd(error: MeshError | null): void {
    this.#token.cancel();
    const { log, hello } = this.#options;
    const fields = { agent: this.agent, node: hello.node, remote: this.#wire.remote };
    if (error === null) log.info('An agent left', fields);
    else log.warn('Ended the stream of an agent', { ...fields, error });
    this.#options.onEnd(this);
  }
}
