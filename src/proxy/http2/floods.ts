/**
 * What a peer makes us do for nothing: streams that are reset before they end (rapid reset, CVE-2023-44487, and the reset that
 * we are made to send, CVE-2025-8671), and frames that carry nothing. Who works with us does both now and then; an attack
 * does little else. So each is measured against what was worth something in the same time.
 */

/** Counts begin anew after this long. */
export const FLOOD_WINDOW_MS = 10_000;
/** Streams reset in that time, however few were not … */
export const FLOOD_RESETS_MAX = 200;
/** … and of all streams this share. */
const RESETS_SHARE_MAX = 0.5;
/** Frames without content in that time, however few had any … */
export const FLOOD_FRAMES_MAX = 1_000;
/** … and for each that had. */
const FRAMES_RATIO_MAX = 8;

export class Floods {
  #untilMs = -Infinity;
  #streams = 0;
  #resets = 0;
  #useful = 0;
  #empty = 0;

  /** A stream began. */
  stream(nowMs: number): void {
    this.#roll(nowMs);
    this.#streams++;
    this.#useful++;
  }

  /** Frames with content came or went. */
  useful(frames: number): void {
    this.#useful += frames;
  }

  /** A stream was reset before its end, by the peer or for its fault. True when there are too many. */
  reset(nowMs: number): boolean {
    this.#roll(nowMs);
    this.#resets++;
    return this.#resets > FLOOD_RESETS_MAX && this.#resets > this.#streams * RESETS_SHARE_MAX;
  }

  /** A frame came that carries nothing. True when there are too many. */
  empty(nowMs: number): boolean {
    this.#roll(nowMs);
    this.#empty++;
    return this.#empty > FLOOD_FRAMES_MAX && this.#empty > this.#useful * FRAMES_RATIO_MAX;
  }

  #roll(nowMs: number): void {
    if (nowMs < this.#untilMs) return;
    this.#untilMs = nowMs + FLOOD_WINDOW_MS;
    this.#streams = 0;
    this.#resets = 0;
    this.#useful = 0;
    this.#empty = 0;
  }
}
