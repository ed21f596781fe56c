/** The messages after the greeting, but for the parts of a change (`part.ts`). All limits hold for whoever reads. */

import { LISTEN_FAILURES_MAX } from '../model/shortcomings.ts';
import { encodeFrame, FLAG, FRAME_TYPE, type Frame } from './frame.ts';
import { asFields, countField, listField, textField } from './fields.ts';
import { readPlain, valueFrame } from './payload.ts';
import type { Refused } from './understanding.ts';

/** Largest message of an agent. */
export const MESSAGE_BYTES_MAX = 65_536;
const FAILURE_LENGTH_MAX = 300;
const REFUSED_MAX = 50;
const TERMS_MAX = 5;
const TERM_LENGTH_MAX = 100;
const TOKEN_LENGTH_MAX = 16_384;
const REASON_LENGTH_MAX = 300;

/** Everything before it on this connection is forgotten: what follows, up to the commit, is all there is. */
export function snapshotFrame(): Buffer {
  return valueFrame({ type: FRAME_TYPE.snapshot, flags: FLAG.mustUnderstand, version: 0 }, {});
}

/** The end of a change: the parts since the last one lead from `from` (0: from nothing) to the version of the frame. */
export interface Commit {
  readonly from: number;
  readonly parts: number;
}

export function commitFrame(version: number, commit: Commit): Buffer {
  return valueFrame({ type: FRAME_TYPE.commit, flags: FLAG.mustUnderstand, version }, commit);
}

/** @throws MeshError `invalid_input`, as all readers here */
export function readCommit(frame: Frame): Commit {
  const fields = asFields(readPlain(frame), 'commit');
  return { from: countField(fields, 'from'), parts: countField(fields, 'parts') };
}

/** What an agent cannot do of what it was sent. */
export interface Shortcomings {
  /** Ports that it cannot listen on, as sentences. */
  readonly failures: readonly string[];
  /** Services that it does not serve, since they say what it does not know. */
  readonly refused: readonly Refused[];
}

/** The agent serves the version of the frame, but for these. */
export function acknowledgeFrame(version: number, { failures, refused }: Shortcomings): Buffer {
  const shown = {
    failures: failures
      .slice(0, LISTEN_FAILURES_MAX)
      .map((text) => text.slice(0, FAILURE_LENGTH_MAX)),
    refused: refused.slice(0, REFUSED_MAX).map(({ key, unknown }) => ({
      key: key.slice(0, FAILURE_LENGTH_MAX),
      unknown: shortTerms(unknown),
    })),
  };
  return valueFrame({ type: FRAME_TYPE.acknowledge, flags: 0, version }, shown);
}

export function readAcknowledge(frame: Frame): Shortcomings {
  const fields = asFields(readPlain(frame), 'acknowledge');
  const failures = listField(fields, 'failures')
    .slice(0, LISTEN_FAILURES_MAX)
    .map((text) => String(text).slice(0, FAILURE_LENGTH_MAX));
  const refused = listField(fields, 'refused')
    .slice(0, REFUSED_MAX)
    .map((value) => {
      const one = asFields(value, 'refused');
      return {
        key: textField(one, 'key', undefined, FAILURE_LENGTH_MAX),
        unknown: shortTerms(listField(one, 'unknown').map(String)),
      };
    });
  return { failures, refused };
}

function shortTerms(terms: readonly string[]): readonly string[] {
  return terms.slice(0, TERMS_MAX).map((term) => term.slice(0, TERM_LENGTH_MAX));
}

const NOTHING = Buffer.alloc(0);

/** Says that the sender lives; a controller also says for how long it has not heard of Pods. */
export function heartbeatFrame(ageMs: number): Buffer {
  const version = Math.max(0, Math.round(ageMs));
  return encodeFrame({ type: FRAME_TYPE.heartbeat, flags: 0, version, payload: NOTHING });
}

/** Of an agent. */
export const HEARTBEAT: Buffer = heartbeatFrame(0);

export type GoAwayReason =
  /** The controller ends: go to another one, then hang up here. */
  | 'drain'
  /** The two share no version of the format. */
  | 'format'
  /** The controller has not read the cluster yet. */
  | 'not_ready'
  /** It has as many agents as it takes. */
  | 'full'
  /** The same agent connected again. */
  | 'replaced';

/** The `detail` is for people. */
export interface GoAway {
  /** A newer controller may have reasons of its own. */
  readonly reason: string;
  readonly detail: string;
}

export function goAwayFrame(reason: GoAwayReason, detail: string): Buffer {
  return valueFrame({ type: FRAME_TYPE.goAway, flags: 0, version: 0 }, { reason, detail });
}

export function readGoAway(frame: Frame): GoAway {
  const fields = asFields(readPlain(frame), 'goAway');
  return {
    reason: textField(fields, 'reason', '', REASON_LENGTH_MAX),
    detail: textField(fields, 'detail', '', REASON_LENGTH_MAX),
  };
}

export function askTokenFrame(): Buffer {
  return valueFrame({ type: FRAME_TYPE.askToken, flags: FLAG.mustUnderstand, version: 0 }, {});
}

export function tokenFrame(token: string): Buffer {
  return valueFrame({ type: FRAME_TYPE.token, flags: FLAG.mustUnderstand, version: 0 }, { token });
}

export function readToken(frame: Frame): string {
  const fields = asFields(readPlain(frame), 'token');
  return textField(fields, 'token', undefined, TOKEN_LENGTH_MAX);
}
