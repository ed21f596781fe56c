/** What one thread is still to be sent, in order and one message at a time: it reads all that wait in one turn, in which it answers nobody. */

import type { Clock } from '../../base/clock.ts';
import type { CredentialChange } from '../../model/credential.ts';
import type { PlacedDelta } from '../ledger/placement.ts';
import { sentCredential } from '../net/tls/credentials.ts';
import { deltaParts } from './delta-parts.ts';
import type { ToThread } from './message.ts';

type Update = Extract<ToThread, { kind: 'delta' | 'credentials' }>;

export class UpdateQueue {
  /** When the message was sent that it has not taken yet; null when it has taken all. */
  sentMs: number | null = null;
  readonly #clock: Clock;
  readonly #post: (update: Update) => void;
  /** The first one may be sent in part. */
  readonly #unsent: Iterator<Update, void, undefined>[] = [];
  #isClosed = false;

  constructor(clock: Clock, post: (update: Update) => void) {
    this.#clock = clock;
    this.#post = post;
  }

  pushDelta(delta: PlacedDelta): void {
    this.#push(deltaMessages(delta));
  }

  pushCredentials(change: CredentialChange): void {
    this.#push(credentialMessages(change));
  }

  /** The thread has taken what was sent. */
  taken(): void {
    this.sentMs = null;
    while (!this.#isClosed && this.#unsent[0] !== undefined) {
      const { value } = this.#unsent[0].next();
      if (value === undefined) this.#unsent.shift();
      else {
        this.sentMs = this.#clock.nowMs();
        return this.#post(value);
      }
    }
  }

  /** Nothing is sent any more: behind the word to drain nothing is to be opened. */
  close(): void {
    this.#isClosed = true;
  }

  #push(updates: Iterator<Update, void, undefined>): void {
    this.#unsent.push(updates);
    if (this.sentMs === null) this.taken();
  }
}

function* deltaMessages(delta: PlacedDelta): Generator<Update, void, undefined> {
  for (const part of deltaParts(delta)) yield { kind: 'delta', ...part };
}

/** The keys are taken out when they are sent. */
function* credentialMessages({
  changed,
  removed,
}: CredentialChange): Generator<Update, void, undefined> {
  yield { kind: 'credentials', changed: changed.map(sentCredential), removed };
}
