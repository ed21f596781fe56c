/** What counters grew by over the last seconds: one frame per sample, holding only the slots that changed. */

import type { SlotKind } from '../ledger/layout.ts';
import type { Ledger } from '../ledger/ledger.ts';

interface Frame {
  readonly startMs: number;
  readonly endMs: number;
  readonly growth: Map<string, Float64Array>;
}

interface Watched {
  /** Cells at the last sample; null while all were 0, as with most Services of a large mesh. */
  last: Float64Array | null;
  /** From when on growth is known. */
  readonly sinceMs: number;
}

export interface WindowOptions {
  readonly kind: SlotKind;
  /** Own cells that are watched, from the first on: the first `counters` of them never fall while the slot lives. */
  readonly cells: number;
  readonly counters: number;
  /** At most this many slots are watched unasked; when there are more, only those asked for in the last minute. */
  readonly watchedMax: number;
}

const ASKED_MS = 60_000;

export class Window {
  readonly #ledger: Ledger;
  readonly #options: WindowOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #asked = new Map<string, number>();
  readonly #now: Float64Array;
  #frames: Frame[] = [];
  #lastMs = Number.NaN;
  #wasAll = false;

  constructor(ledger: Ledger, options: WindowOptions) {
    this.#ledger = ledger;
    this.#options = options;
    this.#now = new Float64Array(options.cells);
  }

  /** Closes a frame that ends now and drops those that ended `windowMs` ago or earlier. */
  sample(nowMs: number, windowMs: number): void {
    const slots = this.#ledger.entries(this.#options.kind);
    const all = slots.size <= this.#options.watchedMax;
    const frame: Frame = { startMs: this.#lastMs, endMs: nowMs, growth: new Map() };
    this.#forgetUnasked(nowMs);
    for (const key of all ? slots.keys() : this.#asked.keys()) {
      const slot = slots.get(key);
      if (slot !== undefined) this.#compare(key, slot, frame);
    }
    for (const key of this.#watched.keys()) {
      if (!slots.has(key) || (!all && !this.#asked.has(key))) this.#watched.delete(key);
    }
    this.#frames = this.#frames.filter(({ endMs }) => endMs > nowMs - windowMs);
    if (!Number.isNaN(frame.startMs)) this.#frames.push(frame);
    this.#lastMs = nowMs;
    this.#wasAll = all;
  }

  /** Adds up the growth of `key` in the window; returns the milliseconds that it covers, 0 when none is known yet. */
  sum(key: string, nowMs: number, into: Float64Array): number {
    if (this.#ledger.find(this.#options.kind, key) !== undefined) this.#asked.set(key, nowMs);
    into.fill(0);
    const watched = this.#watched.get(key);
    if (watched === undefined) return 0;
    let spanMs = 0;
    for (const { startMs, endMs, growth } of this.#frames) {
      if (startMs < watched.sinceMs) continue;
      spanMs += endMs - startMs;
      const by = growth.get(key);
      if (by === undefined) continue;
      for (let i = 0; i < into.length; i++) into[i] = (into[i] ?? 0) + (by[i] ?? 0);
    }
    return spanMs;
  }

  #forgetUnasked(nowMs: number): void {
    for (const [key, at] of this.#asked) {
      if (nowMs - at > ASKED_MS) this.#asked.delete(key);
    }
  }

  #compare(key: string, slot: number, frame: Frame): void {
    const now = this.#now;
    this.#ledger.sumInto(this.#options.kind, slot, 0, now);
    let watched = this.#watched.get(key);
    if (watched === undefined) {
      // A slot that came since the last sample started from nothing; of any other one the past is not known.
      const isNew = this.#wasAll && !Number.isNaN(frame.startMs);
      const isZero = now.every((cell) => cell === 0);
      watched = {
        last: isNew || isZero ? null : now.slice(),
        sinceMs: isNew ? frame.startMs : frame.endMs,
      };
      this.#watched.set(key, watched);
    }
    const growth = this.#growth(watched.last);
    if (growth === null) return;
    frame.growth.set(key, growth);
    watched.last ??= new Float64Array(now.length);
    watched.last.set(now);
  }

  /** What grew since `last`; a counter that fell belongs to a slot that was given anew, which started from nothing. */
  #growth(last: Float64Array | null): Float64Array | null {
    const now = this.#now;
    let base = last;
    for (let i = 0; base !== null && i < this.#options.counters; i++) {
      if ((now[i] ?? 0) < (base[i] ?? 0)) base = null;
    }
    let growth: Float64Array | null = null;
    for (let i = 0; i < now.length; i++) {
      const by = (now[i] ?? 0) - (base?.[i] ?? 0);
      if (by === 0) continue;
      growth ??= new Float64Array(now.length);
      growth[i] = by;
    }
    return growth;
  }
}
