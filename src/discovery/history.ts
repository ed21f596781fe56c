/** What the server knows: the data at the latest version, and its archive. Each change is made into frames once, for all agents. */

import assert from 'node:assert/strict';

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Identity } from '../model/endpoint.ts';
import type { Delta, Service, Snapshot } from '../model/service.ts';
import { Archive } from './archive.ts';
import { encodeParts, SERVICE_LENGTH_MAX, type PartOptions } from './part.ts';
import { isUnderstood, type PartFrame, type Understanding } from './part-frame.ts';
import type { Refused } from './understanding.ts';
import { needsOf, type NeedsOf } from './vocabulary.ts';

export interface HistoryOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Called after each version that is ready to be sent. */
  readonly onVersion: () => void;
  /** Only tests say otherwise than this version of maesh does. */
  readonly needsOf?: NeedsOf | undefined;
}

interface Waiting {
  readonly delta: Delta;
  readonly parts: Iterator<PartFrame>;
  readonly frames: PartFrame[];
}

/** Deltas that wait for being encoded: beyond it `publish` does the work at once. */
const WAITING_MAX = 1_000;

export class History {
  readonly archive: Archive;
  readonly #options: HistoryOptions;
  readonly #services = new Map<string, Service>();
  readonly #identities = new Map<string, Identity>();
  /** What Services need of their readers, for those that need something. */
  readonly #needs = new Map<string, readonly string[]>();
  /** null when it has to be asked for again. */
  #terms: readonly string[] | null = null;
  readonly #partOptions: PartOptions & { readonly needsOf: NeedsOf };
  readonly #waiting: Waiting[] = [];
  #published = 0;
  #isStepping = false;
  #isClosed = false;
  /** Clock milliseconds of the first version; those of later ones are in the archive. */
  #firstAtMs = 0;

  constructor(options: HistoryOptions) {
    this.#options = options;
    const contents = { services: this.#services, identities: this.#identities };
    this.#partOptions = {
      onTooLong: (key, length) => this.#onTooLong(key, length),
      needsOf: options.needsOf ?? needsOf,
    };
    this.archive = new Archive(contents, this.#partOptions);
  }

  /** The latest version that can be sent; 0 before the first. */
  get version(): number {
    return this.archive.version;
  }

  /** The latest version that was published; it may take a moment before it can be sent. */
  get published(): number {
    return this.#published;
  }

  /** At the latest version that can be sent; the maps are live. */
  snapshot(): Snapshot {
    return { version: this.version, services: this.#services, identities: this.#identities };
  }

  /** A small delta can be sent at once, a large one some turns of the event loop later; their order stays. */
  publish(delta: Delta): void {
    assert(delta.version >= 1, 'versions start at 1');
    assert(
      this.#published === 0 || delta.version === this.#published + 1,
      `version ${delta.version} does not follow ${this.#published}`,
    );
    this.#published = delta.version;
    const parts = encodeParts(delta, delta.version, this.#partOptions);
    this.#waiting.push({ delta, parts, frames: [] });
    if (this.#waiting.length > WAITING_MAX) {
      while (this.#waiting.length > 0) this.#encodePart();
    } else if (!this.#isStepping) {
      this.#step();
    }
  }

  /** How long a version after `version` has been there, in milliseconds; 0 when there is none. */
  lagMs(version: number): number {
    if (version >= this.version) return 0;
    const since = this.archive.after(version)?.atMs ?? this.#firstAtMs;
    return this.#options.clock.nowMs() - since;
  }

  /** Services that an agent is not sent, with what of them it does not understand. */
  withheldFrom(understanding: Understanding): Refused[] {
    const withheld: Refused[] = [];
    if (isUnderstood(this.#termsInUse(), understanding)) return withheld;
    for (const [key, terms] of this.#needs) {
      if (isUnderstood(terms, understanding)) continue;
      withheld.push({ key, unknown: terms.filter((term) => !understanding.has(term)) });
    }
    return withheld;
  }

  /** All that some Service needs of its readers. */
  #termsInUse(): readonly string[] {
    this.#terms ??= [...new Set([...this.#needs.values()].flat())];
    return this.#terms;
  }

  /** Nothing is encoded any more. */
  close(): void {
    this.#isClosed = true;
    this.#waiting.length = 0;
    this.archive.close();
  }

  /** Works on the first delta that waits; two parts at once, so that a small one is done within the call. */
  #step(): void {
    this.#isStepping = false;
    if (this.#isClosed || this.#waiting.length === 0) return;
    this.#encodePart();
    this.#encodePart();
    if (this.#waiting.length === 0) return;
    this.#isStepping = true;
    setImmediate(() => this.#step());
  }

  #encodePart(): void {
    const first = this.#waiting[0];
    if (first === undefined) return;
    const next = first.parts.next();
    if (next.done !== true) {
      first.frames.push(next.value);
      return;
    }
    this.#waiting.shift();
    this.#add(first);
  }

  #add({ delta, frames }: Waiting): void {
    this.#terms = null;
    for (const service of delta.services) {
      this.#services.set(service.key, service);
      const needs = this.#partOptions.needsOf(service);
      if (needs.length > 0) this.#needs.set(service.key, needs);
      else this.#needs.delete(service.key);
    }
    for (const key of delta.removedServices) {
      this.#services.delete(key);
      this.#needs.delete(key);
    }
    for (const identity of delta.identities) this.#identities.set(identity.address, identity);
    for (const address of delta.removedIdentities) this.#identities.delete(address);
    const nowMs = this.#options.clock.nowMs();
    if (this.version === 0) {
      this.#firstAtMs = nowMs;
      this.archive.reset(delta.version, frames);
    } else {
      this.archive.append(delta.version, frames, nowMs);
    }
    this.#options.onVersion();
  }

  #onTooLong(key: string, length: number): void {
    this.#options.log.error('Cannot send a Service to the agents: it is too large', {
      service: key,
      characters: length,
      most: SERVICE_LENGTH_MAX,
      remedy: 'split it, or give it fewer ports; agents keep what they have of it',
    });
  }
}
