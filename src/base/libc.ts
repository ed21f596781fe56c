/**
 * The few things of the system that the runtime has no function for. All are wishes: where the runtime cannot call the
 * C library, or the library has no such function, nothing happens and the mesh works as well, a little less smoothly.
 *
 * Nothing is asked for unless the process runs as `bin/maesh` starts it: calling the library is an experiment of the
 * runtime, which says so on standard error unless told not to.
 */

import type * as Ffi from 'node:ffi';
import { arch } from 'node:os';

/** Whether the process was started with the flags of `bin/maesh`. */
export const isTuned = process.execArgv.includes('--single-threaded-gc');

/** Of the system call sched_setattr(2), which no library function stands for on all systems that we run on. */
const SCHED_SETATTR: Readonly<Record<string, bigint>> = { x64: 314n, arm64: 274n };
/** `struct sched_attr` up to and with `sched_period`; offset of `sched_runtime`, which is the slice. */
const ATTR_BYTES = 48;
const ATTR_RUNTIME = 24;

/** Linux. `struct rlimit` has the soft and the hard limit. */
const RLIMIT_CORE = 4;
const RLIMIT_BYTES = 16;

/**
 * Asks the kernel to let the calling thread run for `nanoseconds` at a time, 100,000 to 100,000,000. Linux 6.12 and
 * later; older ones take it and do nothing.
 */
export function setSlice(nanoseconds: number): void {
  const number = SCHED_SETATTR[arch()];
  if (number === undefined) return;
  // Policy, flags, niceness and priority stay 0: a thread like all others.
  const attr = Buffer.alloc(ATTR_BYTES);
  attr.writeUInt32LE(ATTR_BYTES, 0);
  attr.writeBigUInt64LE(BigInt(nanoseconds), ATTR_RUNTIME);
  attempt((ffi) => {
    const { functions } = ffi.dlopen(null, {
      syscall: { arguments: ['int64', 'int64', 'buffer', 'int64'], return: 'int64' },
    });
    functions.syscall(number, 0n, attr, 0n);
  });
}

/**
 * A function that gives memory that was freed back to the system (malloc_trim(3)): the allocator keeps all that lies below
 * what is in use. Get it once and call it often: the runtime never frees what it takes to open the library, some 5 kB.
 */
export function memoryTrimmer(): () => void {
  let trim = (): void => undefined;
  attempt((ffi) => {
    const { functions } = ffi.dlopen(null, {
      malloc_trim: { arguments: ['uint64'], return: 'int32' },
    });
    trim = () => void functions.malloc_trim(0n);
  });
  return trim;
}

/**
 * From now on a crash of the process writes no core dump (setrlimit(2)): it would have requests, tokens and keys in it. A
 * limit of one byte is also what tells the kernel not to start a program that takes dumps (core(5)).
 */
export function forgoCoreDumps(): void {
  const limits = Buffer.alloc(RLIMIT_BYTES);
  limits.writeBigUInt64LE(1n, 0);
  limits.writeBigUInt64LE(1n, RLIMIT_BYTES / 2);
  attempt((ffi) => {
    const { functions } = ffi.dlopen(null, {
      setrlimit: { arguments: ['int32', 'buffer'], return: 'int32' },
    });
    functions.setrlimit(RLIMIT_CORE, limits);
  });
}

/** What the kernel knows of a TCP connection without reading from it. */
export interface PeerProbe {
  /**
   * `closing` after a FIN, also one behind bytes that nobody has read; `gone` after a reset. `finished` is whether our own half is
   * closed.
   */
  stateOf(descriptor: number, finished: boolean): 'open' | 'closing' | 'gone';
  /** Bytes that the peer has not acknowledged; 0 when it cannot be told. */
  unacknowledged(descriptor: number): number;
}

const POLLERR = 0x8;
const POLLHUP = 0x10;
const POLLRDHUP = 0x2000;
/** SIOCOUTQ, tcp(7). */
const SIOCOUTQ = 0x5411n;

/** Null where the kernel cannot be asked. `wanted` is for tests, which are not started by `bin/maesh`. */
export function peerProbe(wanted = isTuned): PeerProbe | null {
  let probe: PeerProbe | null = null;
  attempt((ffi) => {
    const { functions } = ffi.dlopen(null, {
      poll: { arguments: ['buffer', 'uint64', 'int32'], return: 'int32' },
      ioctl: { arguments: ['int32', 'uint64', 'buffer'], return: 'int32' },
    });
    // `struct pollfd`: descriptor, events asked for, events seen.
    const poll = Buffer.alloc(8);
    const count = Buffer.alloc(4);
    probe = {
      stateOf(descriptor, finished) {
        poll.writeInt32LE(descriptor, 0);
        poll.writeUInt16LE(POLLRDHUP, 4);
        poll.writeUInt16LE(0, 6);
        if (functions.poll(poll, 1n, 0) <= 0) return 'open';
        const seen = poll.readUInt16LE(6);
        if ((seen & POLLERR) !== 0) return 'gone';
        // Both halves are closed: in order, where ours is.
        if ((seen & POLLHUP) !== 0) return finished ? 'closing' : 'gone';
        return (seen & POLLRDHUP) === 0 ? 'open' : 'closing';
      },
      unacknowledged(descriptor) {
        return functions.ioctl(descriptor, SIOCOUTQ, count) < 0 ? 0 : count.readInt32LE(0);
      },
    };
  }, wanted);
  return probe;
}

function attempt(call: (ffi: typeof Ffi) => void, wanted = isTuned): void {
  const ffi = wanted ? process.getBuiltinModule('node:ffi') : undefined;
  if (ffi === undefined) return;
  try {
    call(ffi);
  } catch {
    // Another C library, or a runtime that has closed this door.
  }
}
