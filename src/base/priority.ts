/**
 * Which threads of the process go first where they share cores: the proxy threads. On Linux niceness and time slice
 * belong to a thread. What is asked for here needs no right, and counts only among the threads of one container.
 */

import { existsSync, readdirSync } from 'node:fs';
import { setPriority } from 'node:os';
import { isTuned, setSlice } from './libc.ts';

/**
 * Of every thread but those of the proxy: the main thread (configuration, names, metrics) and those that the runtime
 * compiles code on, in bursts, when traffic changes its kind. Each keeps a quarter of a core that it has to share with
 * one proxy thread; with less, compiling takes so long that its memory piles up. (A collector that used the same
 * helpers would make a proxy thread wait for what yields to it.)
 */
const NICENESS = 5;
/**
 * The least that the kernel takes. A thread that asks for little at a time is let in soon when a request wakes it; one
 * that computes would keep the core to the next tick, 1 to 4 ms. Its share of the core stays the same.
 */
const PROXY_SLICE_NS = 100_000;

const TASKS = '/proc/self/task';

/** Call on the main thread before the first worker thread starts, which would inherit the niceness. */
export function yieldCompilers(): void {
  if (!isTuned || !existsSync(TASKS)) return;
  for (const thread of readdirSync(TASKS)) {
    if (Number(thread) !== process.pid) yieldThread(Number(thread));
  }
}

/** Call on the main thread once the proxy threads run. A thread that replaces one of them inherits it. */
export function yieldMain(): void {
  if (isTuned) yieldThread(0);
}

/** Call on a proxy thread. */
export function goFirst(): void {
  setSlice(PROXY_SLICE_NS);
}

/** 0 is the calling thread. */
function yieldThread(thread: number): void {
  try {
    setPriority(thread, NICENESS);
  } catch {
    // A helper thread that ended meanwhile, or a sandbox that forbids it: only the pauses are longer.
  }
}
