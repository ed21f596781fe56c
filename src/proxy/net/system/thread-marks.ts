/**
 * What one thread has open, in memory that the main thread sees: the runtime closes what it opened itself when a thread
 * dies, and nothing else. A listening socket that stays open would go on taking callers whom nobody serves.
 */

import { descriptorLimit } from '../descriptor-limit.ts';

/** Address of the region of the thread; 0 without one. */
export const UNMAP_AT = 0;
/** Marks of a descriptor that is open, and of one that callers connect to. */
export const OPEN = 1;
export const LISTENS = 2;
const WORDS = 16;
/** No process has more; a limit beyond it is no limit. */
const DESCRIPTORS_MAX = 1_048_576;

export interface ThreadMarks {
  readonly words: Int32Array;
  /** By descriptor: `OPEN` or `LISTENS` while it is open. */
  readonly open: Uint8Array;
}

export function shareMarks(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORDS * 4 + Math.min(descriptorLimit(), DESCRIPTORS_MAX));
}

export function marksOf(shared: SharedArrayBuffer): ThreadMarks {
  return {
    words: new Int32Array(shared, 0, WORDS),
    open: new Uint8Array(shared, WORDS * 4),
  };
}
