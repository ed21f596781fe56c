/**
 * Pipes through which bytes go from socket to socket without a copy in user space. An empty pipe is anybody's; one with bytes
 * in it belongs to the socket that they wait for.
 */

import { READ_BYTES } from '../socket.ts';
import type { Kernel } from './kernel-interface.ts';

/** Room in a pipe, and so the most that waits in it. */
export const PIPE_BYTES = 262_144;
/** Pipes of a thread, each of two descriptors. When all have bytes in them, others copy. */
export const PIPES_MAX = 64;
/** Empty ones that are kept. */
const FREE_MAX = 16;
/** Times that one is wanted in vain after the kernel refused it, before it is asked again. */
const REFUSED_TIMES = 256;

export interface Pipe {
  /** Where bytes go in, and where they come out. */
  readonly input: number;
  readonly output: number;
  /** In it. */
  bytes: number;
}

export class Pipes {
  /** All that went through. */
  splicedBytes = 0;
  /** A source that gives so much at once is fast enough for splices: what fills the read buffer. */
  worthBytes = READ_BYTES;
  refusedTimes = REFUSED_TIMES;
  readonly #kernel: Kernel;
  /** The last one given back is the first one taken: what belongs to it is still in the caches. */
  readonly #free: Pipe[] = [];
  #open = 0;
  #isOff = false;
  /** Times until the kernel is asked again. */
  #refused = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Pipes that are open. */
  get open(): number {
    return this.#open;
  }

  /** From now on everything is copied: the kernel does not do it. */
  switchOff(): void {
    this.#isOff = true;
  }

  /** An empty one; null without one. */
  take(): Pipe | null {
    if (this.#isOff) return null;
    return this.#free.pop() ?? this.#make();
  }

  /** One that has bytes in it is closed: nobody is to get them. */
  give(pipe: Pipe): void {
    if (pipe.bytes === 0 && this.#free.length < FREE_MAX && !this.#isOff)
      return void this.#free.push(pipe);
    this.#open--;
    this.#kernel.close(pipe.input);
    this.#kernel.close(pipe.output);
  }

  #make(): Pipe | null {
    const kernel = this.#kernel;
    if (this.#open >= PIPES_MAX) return null;
    if (this.#refused > 0) {
      this.#refused--;
      return null;
    }
    // Without descriptors or room for pipes there is none now, but perhaps later.
    if (kernel.pipe(PIPE_BYTES) < 0) {
      this.#refused = this.refusedTimes;
      return null;
    }
    this.#open++;
    return { output: kernel.pipeEnd(0), input: kernel.pipeEnd(1), bytes: 0 };
  }
}
