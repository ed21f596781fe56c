/** The agent's side of one connection, from the welcome to the end: makes changes of the state of the mesh out of frames. */

import type { Clock, Timer } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { Trouble } from '../model/trouble.ts';
import type { Delta } from '../model/service.ts';
import { type CredentialMessage, readCredentials } from './credential-wire.ts';
import { encodeFrame, FRAME_TYPE, type Frame } from './frame.ts';
import type { Position, Welcome } from './hello.ts';
import {
  acknowledgeFrame,
  HEARTBEAT,
  readCommit,
  readGoAway,
  tokenFrame,
  type GoAway,
  type Shortcomings,
} from './message.ts';
import { reportFrame } from './report.ts';
import { readPart } from './part.ts';
import type { Pool } from './pool.ts';
import type { MeshState } from './mesh-state.ts';
import { HEARTBEAT_MS, skip, type Wire } from './wire.ts';

/** A change that was applied to the state of the mesh. */
export interface Committed {
  readonly position: Position;
  readonly isSnapshot: boolean;
  /** What differs; null when nothing does. */
  readonly delta: Delta | null;
  /** The parts as they came, if they are kept. */
  readonly frames: readonly Buffer[];
}

export interface LinkOptions {
  readonly wire: Wire;
  readonly welcome: Welcome;
  /** Where the agent said that it is. */
  readonly resume: Position | null;
  readonly meshState: MeshState;
  readonly pool: Pool;
  readonly keepFrames: boolean;
  readonly clock: Clock;
  readonly onCommitted: (committed: Committed) => void;
  /** Certificates with keys came. */
  readonly onCredentials: (message: CredentialMessage) => void;
  readonly onGoAway: (goAway: GoAway) => void;
  readonly onAskToken: () => void;
  readonly onEnd: (error: MeshError | null) => void;
}

export class Link {
  readonly remote: string;
  readonly welcome: Welcome;
  /** The controller ends: another one is looked for meanwhile. */
  isLeaving = false;
  /** Clock milliseconds of the first commit; Infinity before. */
  syncedAtMs = Infinity;
  /** Clock milliseconds at which it was known last who callers are; -Infinity before the first commit. */
  confirmedAtMs = -Infinity;
  readonly #options: LinkOptions;
  readonly #beat: Timer;
  #isSnapshot = false;
  /** Of the parts since the last commit. */
  #frames: Buffer[] = [];
  /** For how long the controller had not heard of Pods when it said so last. */
  #ageMs: number;
  /** Committed last; 0 is nothing of this stream. */
  #version: number;

  constructor(options: LinkOptions) {
    const { wire, welcome, resume, clock } = options;
    this.remote = wire.remote;
    this.welcome = welcome;
    this.#options = options;
    this.#ageMs = welcome.ageMs;
    this.#version = resume?.epoch === welcome.epoch ? resume.version : 0;
    this.#beat = clock.every(HEARTBEAT_MS, () => this.#onBeat());
    wire.onFrame = (frame) => this.#onFrame(frame);
    wire.onEnd = (error) => {
      this.#beat.cancel();
      options.onEnd(error);
    };
  }

  get isSynced(): boolean {
    return this.syncedAtMs !== Infinity;
  }

  acknowledge(version: number, shortcomings: Shortcomings): void {
    this.#options.wire.send(acknowledgeFrame(version, shortcomings));
  }

  report(troubles: readonly Trouble[]): void {
    this.#options.wire.send(reportFrame(troubles));
  }

  sendToken(token: string): void {
    this.#options.wire.send(tokenFrame(token));
  }

  close(): void {
    this.#options.wire.close(null);
  }

  #onBeat(): void {
    const { wire } = this.#options;
    if (wire.isSilent()) {
      wire.close(new MeshError('connect_timeout', 'The controller was silent for too long'));
    } else {
      wire.send(HEARTBEAT);
    }
  }

  #onFrame(frame: Frame): void {
    const { meshState, pool } = this.#options;
    switch (frame.type) {
      case FRAME_TYPE.snapshot:
        meshState.beginSnapshot();
        this.#isSnapshot = true;
        this.#frames = [];
        return;
      case FRAME_TYPE.part:
        meshState.add(readPart(frame, pool));
        if (this.#options.keepFrames) this.#frames.push(encodeFrame(frame));
        return;
      case FRAME_TYPE.commit:
        this.#commit(frame);
        return;
      case FRAME_TYPE.credentials:
        this.#options.onCredentials(readCredentials(frame));
        return;
      case FRAME_TYPE.goAway:
        this.isLeaving = true;
        this.#options.onGoAway(readGoAway(frame));
        return;
      case FRAME_TYPE.askToken:
        this.#options.onAskToken();
        return;
      case FRAME_TYPE.heartbeat:
        this.#ageMs = frame.version;
        this.#confirm();
        return;
      default:
        skip(frame);
    }
  }

  /** What the agent knows is what the controller knows, if the first commit was there. */
  #confirm(): void {
    const { clock } = this.#options;
    if (!this.isSynced) return;
    this.confirmedAtMs = Math.max(this.confirmedAtMs, clock.nowMs() - this.#ageMs);
  }

  #commit(frame: Frame): void {
    const { meshState, welcome, clock } = this.#options;
    const { from, parts } = readCommit(frame);
    const isSnapshot = this.#isSnapshot;
    const expected = isSnapshot ? 0 : this.#version;
    if (from !== expected || frame.version === 0 || (!isSnapshot && from === 0)) {
      throw new MeshError(
        'invalid_input',
        `a change leads from version ${from} to ${frame.version}, and version ${expected} is here`,
      );
    }
    if (meshState.isEmptySnapshot && !welcome.synced) {
      throw new MeshError(
        'invalid_input',
        'an empty snapshot came from a controller that does not say that it has read the cluster',
      );
    }
    const delta = meshState.commit(parts);
    const frames = this.#frames;
    this.#frames = [];
    this.#isSnapshot = false;
    this.#version = frame.version;
    if (!this.isSynced) this.syncedAtMs = clock.nowMs();
    this.#confirm();
    const position = { epoch: welcome.epoch, version: frame.version };
    this.#options.onCommitted({ position, isSnapshot, delta, frames });
  }
}
