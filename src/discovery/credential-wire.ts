/**
 * Certificates with their keys, to agents that were let in: in frames of their own, which no archive and no copy on disk has, made when
 * they are sent, and never compressed.
 */

import { SecretText } from '../base/secret-text.ts';
import { CHAIN_BYTES_MAX, type Credential, PRIVATE_KEY_BYTES_MAX } from '../model/credential.ts';
import { asFields, flagField, listField, textField } from './fields.ts';
import { FRAME_TYPE, type Frame } from './frame.ts';
import { readPlain, valueFrame } from './payload.ts';
import { TERMS } from './vocabulary.ts';

/** Whoever knows the field has a use for them; others get none. */
const USE = TERMS.port.term('callerTls');

export interface CredentialMessage {
  /** All follow: those that are not named until the next commit are gone behind it. */
  readonly isWhole: boolean;
  readonly changed: readonly Credential[];
  /** Gone now. */
  readonly removed: readonly string[];
}

/** As written by others, a key may be longer than it was in its Secret. */
const KEY_LENGTH_MAX = 2 * PRIVATE_KEY_BYTES_MAX;

export function credentialFrame({ isWhole, changed, removed }: CredentialMessage): Buffer {
  const sent = changed.map(({ privateKey, ...rest }) => ({
    ...rest,
    privateKey: privateKey.reveal(),
  }));
  const head = { type: FRAME_TYPE.credentials, flags: 0, version: 0 };
  return valueFrame(head, { whole: isWhole, changed: sent, removed });
}

/** @throws MeshError `invalid_input`, which has nothing of a key */
export function readCredentials(frame: Frame): CredentialMessage {
  const fields = asFields(readPlain(frame), 'credentials');
  return {
    isWhole: flagField(fields, 'whole', false),
    changed: listField(fields, 'changed').map((value) => {
      const one = asFields(value, 'changed');
      return {
        key: textField(one, 'key'),
        chain: textField(one, 'chain', undefined, CHAIN_BYTES_MAX),
        privateKey: new SecretText(textField(one, 'privateKey', undefined, KEY_LENGTH_MAX)),
        digest: textField(one, 'digest'),
      };
    }),
    removed: listField(fields, 'removed').map(String),
  };
}

const NOTHING = { isWhole: false, changed: [], removed: [] } as const;

/** What one agent is still to be sent of them: the latest of each, one frame after the other. */
export class CredentialCursor {
  readonly #current: ReadonlyMap<string, Credential>;
  readonly #isUsed: boolean;
  /** null: all of them, which is not said yet. */
  #due: Set<string> | null = null;
  /** By key: the version that the agent must have before. */
  readonly #gone = new Map<string, number>();

  /** `current` is its owner's, and changes. */
  constructor(current: ReadonlyMap<string, Credential>, understands: ReadonlySet<string>) {
    this.#current = current;
    this.#isUsed = understands.has(USE);
  }

  changed(key: string): void {
    this.#gone.delete(key);
    this.#due?.add(key);
  }

  /** `after` is the version that does not name it any more. */
  removed(key: string, after: number): void {
    this.#due?.delete(key);
    if (this.#due !== null) this.#gone.set(key, after);
  }

  /** To be sent before all else; null for nothing. */
  next(): readonly Buffer[] | null {
    if (!this.#isUsed) return null;
    if (this.#due === null) {
      this.#due = new Set(this.#current.keys());
      return [credentialFrame({ ...NOTHING, isWhole: true })];
    }
    for (const key of this.#due) {
      this.#due.delete(key);
      const credential = this.#current.get(key);
      if (credential !== undefined) return [credentialFrame({ ...NOTHING, changed: [credential] })];
    }
    return null;
  }

  /** To be sent behind `version`. */
  last(version: number): readonly Buffer[] | null {
    if (!this.#isUsed || this.#gone.size === 0) return null;
    const removed = [...this.#gone].filter(([, after]) => after <= version).map(([key]) => key);
    for (const key of removed) this.#gone.delete(key);
    return removed.length === 0 ? null : [credentialFrame({ ...NOTHING, removed })];
  }
}
