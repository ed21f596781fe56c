/**
 * The system calls of the sockets of one thread, and the only file that sees an address. Everything that the kernel reads or
 * writes lies in one region; others name places in it by their offset, and each call checks offset and length against the
 * region before it is made. So no mistake of another file can make the kernel touch memory outside of it, and none can
 * reach a descriptor that was not opened here.
 *
 * All arguments are `int32`: those calls take the runtime's fast way, without an object or a BigInt. Therefore the region
 * lies below 2 GiB, where a positive int32 is the whole address. Every call returns what the system call returns, or the
 * error number negated.
 *
 * The error number stands in memory of the thread until another call fails. The runtime may make one between a call of
 * ours and our look, when it compiles or collects. So a call whose error would end something is made again, and only
 * what both tell is believed.
 */

import type * as Ffi from 'node:ffi';
import { arch, platform } from 'node:os';
import { Defect } from '../copy-whole.ts';
import {
  ADDRESS_AT,
  ADDRESS_ROOM,
  EVENT_AT,
  EVENTS_AT,
  EVENTS_MAX,
  type Kernel,
  LENGTH_AT,
  METRICS_AT,
  OPTION_AT,
  REGION_BYTES,
  SOL_SOCKET,
} from './kernel-interface.ts';
import {
  EAGAIN,
  EALREADY,
  ECONNRESET,
  EINPROGRESS,
  EISCONN,
  EMFILE,
  endsConnections,
  EPIPE,
} from './errno.ts';
import { marksOf, type ThreadMarks, UNMAP_AT } from './thread-marks.ts';

const I = 'int32';
const calls = {
  accept4: { arguments: [I, I, I, I], return: I },
  bind: { arguments: [I, I, I], return: I },
  close: { arguments: [I], return: I },
  connect: { arguments: [I, I, I], return: I },
  epoll_create1: { arguments: [I], return: I },
  epoll_ctl: { arguments: [I, I, I, I], return: I },
  epoll_wait: { arguments: [I, I, I, I], return: I },
  fcntl: { arguments: [I, I, I], return: I },
  getsockname: { arguments: [I, I, I], return: I },
  getsockopt: { arguments: [I, I, I, I, I], return: I },
  ioctl: { arguments: [I, I, I], return: I },
  listen: { arguments: [I, I], return: I },
  pipe2: { arguments: [I, I], return: I },
  read: { arguments: [I, I, I], return: I },
  setsockopt: { arguments: [I, I, I, I, I], return: I },
  shutdown: { arguments: [I, I], return: I },
  socket: { arguments: [I, I, I], return: I },
  splice: { arguments: [I, I, I, I, I, I], return: I },
  write: { arguments: [I, I, I], return: I },
} as const;
/** Made once per thread; their arguments do not fit. */
const setUp = {
  __errno_location: { arguments: [], return: 'pointer' },
  mmap: { arguments: ['uint64', 'uint64', I, I, I, 'int64'], return: 'uint64' },
  uv_backend_fd: { arguments: ['pointer'], return: I },
  uv_backend_timeout: { arguments: ['pointer'], return: I },
  uv_metrics_info: { arguments: ['pointer', 'pointer'], return: I },
} as const;
const tearDown = {
  close: { arguments: [I], return: I },
  munmap: { arguments: ['uint64', 'uint64'], return: I },
} as const;

const PROT_READ_WRITE = 0x3;
/** MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE: pages that were never used cost nothing. */
const MAP_FLAGS = 0x4022;
const MAP_32BIT = 0x40;
const MAP_FIXED_NOREPLACE = 0x100000;
/** Where MAP_32BIT does not exist: places below 2 GiB that are mostly free. */
const HINTS = [0x10000000, 0x20000000, 0x30000000, 0x40000000, 0x50000000, 0x60000000];
const LOW_END = 2 ** 31;

const SOCK_STREAM = 1;
/** SOCK_NONBLOCK | SOCK_CLOEXEC. */
const SOCK_FLAGS = 0x80800;
const EPOLL_CLOEXEC = 0x80000;
const SHUT_WR = 1;
const SO_LINGER = 13;
const SIOCOUTQ = 0x5411;
const SIOCINQ = 0x541b;
/** O_NONBLOCK | O_CLOEXEC. */
const PIPE_FLAGS = 0x80800;
const F_SETPIPE_SZ = 1031;
/** Of all descriptors, those that may be a pipe's. */
const PIPES_PART = 0.75;
/** SPLICE_F_MOVE | SPLICE_F_NONBLOCK. */
const SPLICE_FLAGS = 0x3;

type Ffi = typeof Ffi;
export type Calls = Record<keyof typeof calls, (...args: readonly number[]) => number>;

/** Why this thread cannot have one; thrown by `openKernel`. */
export class NoKernel extends Error {
  override readonly name = 'NoKernel';
}

/**
 * What was opened is noted in `marks`, so that `reclaim` can close it when the thread dies. `between` is for tests of what
 * the runtime may do between a call and the look at its error number. @throws NoKernel
 */
export function openKernel(
  marks: ThreadMarks,
  between: (calls: Calls, errno: Int32Array) => Calls = (calls) => calls,
): Kernel {
  if (platform() !== 'linux') throw new NoKernel(`the platform is ${platform()}`);
  const isX64 = arch() === 'x64';
  if (!isX64 && arch() !== 'arm64') throw new NoKernel(`the processor is ${arch()}`);
  const ffi = process.getBuiltinModule('node:ffi') as Ffi | undefined;
  if (ffi === undefined) throw new NoKernel('the runtime has no node:ffi');
  const { functions: once } = ffi.dlopen(null, setUp);
  const base = mapLow((at, flags) =>
    Number(once.mmap(at, BigInt(REGION_BYTES), PROT_READ_WRITE, MAP_FLAGS | flags, -1, 0n)),
  );
  const memory = Buffer.from(ffi.toArrayBuffer(BigInt(base), REGION_BYTES, false));
  const errno = new Int32Array(ffi.toArrayBuffer(once.__errno_location(), 4, false));
  const loop = ffi.getCurrentEventLoop();
  const made = between(ffi.dlopen(null, calls).functions, errno);
  const metrics = BigInt(base + METRICS_AT);
  marks.words[UNMAP_AT] = base;
  return new SystemKernel({
    calls: made,
    direct: directCalls(made),
    base,
    memory,
    errno,
    marks,
    isX64,
    backend: once.uv_backend_fd(loop),
    backendTimeout: () => once.uv_backend_timeout(loop),
    backendEvents: () => {
      once.uv_metrics_info(loop, metrics);
      return memory.readUInt32LE(METRICS_AT + 8);
    },
  });
}

/** Closes and unmaps what a thread has left that is gone. */
export function reclaim(shared: SharedArrayBuffer): void {
  const { words, open } = marksOf(shared);
  const base = words[UNMAP_AT] as number;
  if (base === 0) return;
  const { functions } = process.getBuiltinModule('node:ffi').dlopen(null, tearDown);
  for (let fd = open.indexOf(1); fd >= 0; fd = open.indexOf(1, fd + 1)) {
    open[fd] = 0;
    functions.close(fd);
  }
  words[UNMAP_AT] = 0;
  functions.munmap(BigInt(base), BigInt(REGION_BYTES));
}

function mapLow(map: (at: bigint, flags: number) => number): number {
  const tries: [number, number][] = HINTS.map((at) => [at, MAP_FIXED_NOREPLACE]);
  if (arch() === 'x64') tries.unshift([0, MAP_32BIT]);
  for (const [at, flags] of tries) {
    const base = map(BigInt(at), flags);
    if (base > 0 && base + REGION_BYTES <= LOW_END) return base;
    // An address above is of no use: old kernels take the hint for a wish. It stays mapped, and untouched costs nothing.
  }
  throw new NoKernel('no memory below 2 GiB');
}

/**
 * The two calls of every request. The runtime calls the C library directly only where its wrapper is compiled into the caller,
 * which the compiler does while the caller is small; otherwise a call costs four times as much. So each has a small caller
 * of its own, and both are called from one place, whose target the compiler therefore cannot know and take apart.
 */
function directCalls(made: Calls): readonly DirectCall[] {
  const read: DirectCall = (fd, at, length) => made.read(fd, at, length);
  const write: DirectCall = (fd, at, length) => made.write(fd, at, length);
  return [read, write];
}

type DirectCall = (fd: number, address: number, length: number) => number;
const READ = 0;
const WRITE = 1;

interface Parts {
  readonly calls: Calls;
  readonly direct: readonly DirectCall[];
  readonly base: number;
  readonly memory: Buffer<ArrayBuffer>;
  readonly errno: Int32Array;
  readonly marks: ThreadMarks;
  readonly isX64: boolean;
  readonly backend: number;
  readonly backendTimeout: () => number;
  readonly backendEvents: () => number;
}

class SystemKernel implements Kernel {
  readonly memory: Buffer<ArrayBuffer>;
  readonly backend: number;
  readonly backendTimeout: () => number;
  readonly backendEvents: () => number;
  readonly #calls: Calls;
  readonly #directCalls: readonly DirectCall[];
  readonly #base: number;
  readonly #errno: Int32Array;
  /** 1 for each descriptor that was opened here and not closed. */
  readonly #open: Uint8Array;
  readonly #words: Int32Array;
  /** `struct epoll_event` is packed on x86-64 and has a gap elsewhere. Both in words. */
  readonly #stride: number;
  readonly #dataAt: number;

  constructor(parts: Parts) {
    this.memory = parts.memory;
    this.backend = parts.backend;
    this.backendTimeout = parts.backendTimeout;
    this.backendEvents = parts.backendEvents;
    this.#calls = parts.calls;
    this.#directCalls = parts.direct;
    this.#base = parts.base;
    this.#errno = parts.errno;
    this.#open = parts.marks.open;
    this.#words = new Int32Array(
      parts.memory.buffer,
      parts.memory.byteOffset,
      EVENTS_AT + 16 * EVENTS_MAX,
    );
    this.#stride = parts.isX64 ? 3 : 4;
    this.#dataAt = parts.isX64 ? 1 : 2;
  }

  createEpoll(): number {
    return this.#opened(this.#result(this.#calls.epoll_create1(EPOLL_CLOEXEC)));
  }

  // oxlint-disable-next-line max-params -- those of epoll_ctl(2)
  control(
    epoll: number,
    operation: number,
    fd: number,
    events: number,
    generation: number,
  ): number {
    if (fd !== this.backend) this.#own(fd);
    const at = EVENT_AT >> 2;
    const words = this.#words;
    words[at] = events;
    words[at + this.#dataAt] = fd;
    words[at + this.#dataAt + 1] = generation;
    return this.#result(
      this.#calls.epoll_ctl(this.#own(epoll), operation, fd, this.#base + EVENT_AT),
    );
  }

  wait(epoll: number, timeoutMs: number): number {
    const at = this.#base + EVENTS_AT;
    const count = this.#calls.epoll_wait(this.#own(epoll), at, EVENTS_MAX, timeoutMs);
    if (count >= 0) return count;
    // Mostly a signal, which is told by the runtime; whatever else there is to tell is told without waiting.
    return this.#result(this.#calls.epoll_wait(epoll, at, EVENTS_MAX, 0));
  }

  eventMask(index: number): number {
    return this.#words[(EVENTS_AT >> 2) + index * this.#stride] as number;
  }

  eventDescriptor(index: number): number {
    return this.#words[(EVENTS_AT >> 2) + index * this.#stride + this.#dataAt] as number;
  }

  eventGeneration(index: number): number {
    return this.#words[(EVENTS_AT >> 2) + index * this.#stride + this.#dataAt + 1] as number;
  }

  socket(family: number): number {
    const type = SOCK_STREAM | SOCK_FLAGS;
    const fd = this.#calls.socket(family, type, 0);
    return this.#opened(fd >= 0 ? fd : this.#result(this.#calls.socket(family, type, 0)));
  }

  bind(fd: number, length: number): number {
    this.#within(ADDRESS_AT, length);
    const at = this.#base + ADDRESS_AT;
    const result = this.#calls.bind(this.#own(fd), at, length);
    return result >= 0 ? result : this.#result(this.#calls.bind(fd, at, length));
  }

  listen(fd: number, backlog: number): number {
    const result = this.#calls.listen(this.#own(fd), backlog);
    return result >= 0 ? result : this.#result(this.#calls.listen(fd, backlog));
  }

  accept(fd: number): number {
    const accepted = this.#accept(this.#own(fd));
    if (accepted >= 0 || accepted === -EAGAIN) return this.#opened(accepted);
    return this.#opened(this.#accept(fd));
  }

  #accept(fd: number): number {
    this.#words[LENGTH_AT >> 2] = ADDRESS_ROOM;
    const base = this.#base;
    return this.#result(this.#calls.accept4(fd, base + ADDRESS_AT, base + LENGTH_AT, SOCK_FLAGS));
  }

  connect(fd: number, length: number): number {
    this.#within(ADDRESS_AT, length);
    const at = this.#base + ADDRESS_AT;
    const first = this.#result(this.#calls.connect(this.#own(fd), at, length));
    if (first >= 0 || first === -EINPROGRESS) return first;
    const second = this.#result(this.#calls.connect(fd, at, length));
    return second === -EALREADY || second === -EISCONN ? -EINPROGRESS : second;
  }

  localAddress(fd: number): number {
    this.#words[LENGTH_AT >> 2] = ADDRESS_ROOM;
    const base = this.#base;
    return this.#result(
      this.#calls.getsockname(this.#own(fd), base + ADDRESS_AT, base + LENGTH_AT),
    );
  }

  setOption(fd: number, level: number, name: number, value: number): number {
    this.#words[OPTION_AT >> 2] = value;
    return this.#result(
      this.#calls.setsockopt(this.#own(fd), level, name, this.#base + OPTION_AT, 4),
    );
  }

  setReset(fd: number): number {
    // `struct linger`: on, and for no time.
    this.#words[OPTION_AT >> 2] = 1;
    this.#words[(OPTION_AT >> 2) + 1] = 0;
    return this.#result(
      this.#calls.setsockopt(this.#own(fd), SOL_SOCKET, SO_LINGER, this.#base + OPTION_AT, 8),
    );
  }

  option(fd: number, level: number, name: number): number {
    const words = this.#words;
    words[LENGTH_AT >> 2] = 4;
    const base = this.#base;
    const result = this.#result(
      this.#calls.getsockopt(this.#own(fd), level, name, base + OPTION_AT, base + LENGTH_AT),
    );
    return result < 0 ? result : (words[OPTION_AT >> 2] as number);
  }

  unacknowledged(fd: number): number {
    const result = this.#result(this.#calls.ioctl(this.#own(fd), SIOCOUTQ, this.#base + OPTION_AT));
    return result < 0 ? result : (this.#words[OPTION_AT >> 2] as number);
  }

  unread(fd: number): number {
    const result = this.#result(this.#calls.ioctl(this.#own(fd), SIOCINQ, this.#base + OPTION_AT));
    return result < 0 ? result : (this.#words[OPTION_AT >> 2] as number);
  }

  pipe(bytes: number): number {
    const at = OPTION_AT >> 2;
    const result = this.#result(this.#calls.pipe2(this.#base + OPTION_AT, PIPE_FLAGS));
    if (result < 0) return result;
    const output = this.#opened(this.#words[at] as number);
    const input = this.#opened(this.#words[at + 1] as number);
    // The last descriptors are for connections: a body without a pipe is copied.
    const isFree = Math.max(output, input) < this.#open.length * PIPES_PART;
    const size =
      output >= 0 && input >= 0 && isFree
        ? this.#result(this.#calls.fcntl(input, F_SETPIPE_SZ, bytes))
        : -EMFILE;
    if (size >= bytes) return 0;
    if (output >= 0) this.close(output);
    if (input >= 0) this.close(input);
    return size < 0 ? size : -EMFILE;
  }

  pipeEnd(which: 0 | 1): number {
    return this.#own(this.#words[(OPTION_AT >> 2) + which] as number);
  }

  spliceIn(fd: number, pipe: number, bytes: number): number {
    const got = this.#splice(this.#own(fd), this.#own(pipe), bytes);
    if (got >= 0 || got === -EAGAIN) return got;
    const second = this.#splice(fd, pipe, bytes);
    if (second !== 0) return second;
    // As in `#receiveAgain`.
    return endsConnections(-got) ? got : -ECONNRESET;
  }

  spliceOut(pipe: number, fd: number, bytes: number): number {
    const sent = this.#splice(this.#own(pipe), this.#own(fd), bytes);
    if (sent >= 0 || sent === -EAGAIN) return sent;
    const second = this.#splice(pipe, fd, bytes);
    return second === -EPIPE && endsConnections(-sent) ? sent : second;
  }

  #splice(from: number, to: number, bytes: number): number {
    return this.#result(this.#calls.splice(from, 0, to, 0, bytes, SPLICE_FLAGS));
  }

  receive(fd: number, at: number, length: number): number {
    this.#within(at, length);
    const got = this.#result(this.#direct(READ, this.#own(fd), this.#base + at, length));
    return got >= 0 || got === -EAGAIN
      ? got
      : this.#receiveAgain(-got, fd, this.#base + at, length);
  }

  /** A dead connection tells its error once, and then an end. */
  #receiveAgain(errno: number, fd: number, address: number, length: number): number {
    const got = this.#result(this.#direct(READ, fd, address, length));
    if (got !== 0) return got;
    return endsConnections(errno) ? -errno : -ECONNRESET;
  }

  send(fd: number, at: number, length: number): number {
    this.#within(at, length);
    const sent = this.#result(this.#direct(WRITE, this.#own(fd), this.#base + at, length));
    return sent >= 0 || sent === -EAGAIN
      ? sent
      : this.#sendAgain(-sent, fd, this.#base + at, length);
  }

  /** A dead connection tells its error once, and then EPIPE. */
  #sendAgain(errno: number, fd: number, address: number, length: number): number {
    const sent = this.#result(this.#direct(WRITE, fd, address, length));
    return sent === -EPIPE && endsConnections(errno) ? -errno : sent;
  }

  shutdown(fd: number): number {
    return this.#result(this.#calls.shutdown(this.#own(fd), SHUT_WR));
  }

  close(fd: number): number {
    // Before the call: from then on the number may be that of another thread's descriptor.
    this.#open[this.#own(fd)] = 0;
    return this.#result(this.#calls.close(fd));
  }

  #direct(which: number, fd: number, address: number, length: number): number {
    return (this.#directCalls[which] as DirectCall)(fd, address, length);
  }

  /** Read at once. */
  #result(result: number): number {
    return result >= 0 ? result : -(this.#errno[0] as number);
  }

  #opened(fd: number): number {
    if (fd < 0) return fd;
    if (fd < this.#open.length) {
      this.#open[fd] = 1;
      return fd;
    }
    this.#calls.close(fd);
    return -EMFILE;
  }

  #own(fd: number): number {
    if (this.#open[fd] !== 1) throw new Defect(`descriptor ${fd} is not open here`);
    return fd;
  }

  /** Written so that NaN does not pass. */
  #within(at: number, length: number): void {
    if (at >= 0 && length >= 0 && at + length <= REGION_BYTES) return;
    throw new Defect(`${length} bytes at ${at} are not in the region`);
  }
}
