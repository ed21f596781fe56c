/**
 * The system calls of the sockets of one thread, and the only file that sees an address. Everything that the kernel reads or
 * writes lies in one region; others name places in it by their offset, and each call checks offset and length against the
 * region before it is made. So no mistake of another file can make the kernel touch memory outside of it, and none can
 * reach a descriptor that was not opened here.
 *
 * All arguments are `int32`: those calls take the runtime's fast way, without an object or a BigInt. Therefore the region
 * lies below 2 GiB, where a positive int32 is the whole address. Every method makes one call, and returns what that returns, or
 * the error number negated. What a failure means, `kernel.ts` decides: the number may be that of another call.
 */

import type * as Ffi from 'node:ffi';
import { arch, platform } from 'node:os';
import { Defect } from '../copy-whole.ts';
import {
  CALLS,
  EPOLL_CLOEXEC,
  F_SETPIPE_SZ,
  MAP_32BIT,
  MAP_FIXED_NOREPLACE,
  MAP_FLAGS,
  MAP_PROTECTION,
  MSG_ERRQUEUE,
  PIPE_FLAGS,
  SET_UP,
  SHUT_WR,
  SIOCINQ,
  SIOCOUTQ,
  SO_LINGER,
  SO_MEMINFO,
  SOCK_DGRAM,
  SOCK_FLAGS,
  SOCK_STREAM,
  SPLICE_FLAGS,
  TEAR_DOWN,
} from './call-table.ts';
import { EMFILE } from './errno.ts';
import {
  ADDRESS_AT,
  ADDRESS_ROOM,
  DATAGRAM_CONTROL,
  DATAGRAM_DATA,
  DATAGRAM_ROOM,
  DATAGRAM_STRIDE,
  DATAGRAMS_MAX,
  EVENT_AT,
  EVENTS_AT,
  EVENTS_MAX,
  LENGTH_AT,
  MEMINFO_AT,
  MEMINFO_BYTES,
  MESSAGES_MAX,
  type MessageSizes,
  METRICS_AT,
  OPTION_AT,
  REGION_BYTES,
  SOL_SOCKET,
} from './kernel-interface.ts';
import { LISTENS, marksOf, OPEN, type ThreadMarks, UNMAP_AT } from './thread-marks.ts';

/** Where MAP_32BIT does not exist: places below 2 GiB that are mostly free. */
const HINTS = [0x10000000, 0x20000000, 0x30000000, 0x40000000, 0x50000000, 0x60000000];
const LOW_END = 2 ** 31;
const LINGER_BYTES = 8;
/** `struct mmsghdr` and `struct iovec`, in words, and what of them is written or read. */
const HEADER = 16;
const VECTOR = 4;
const NAME_LENGTH = 2;
const CONTROL_LENGTH = 10;
const MESSAGE_LENGTH = 14;
/** The headers of messages, first those that come, then those that leave, and then a vector for each. They hold addresses. */
const HEADERS = DATAGRAMS_MAX + MESSAGES_MAX;
const TABLE_WORDS = HEADERS * (HEADER + VECTOR);
const MAP_BYTES = REGION_BYTES + TABLE_WORDS * 4;

type Ffi = typeof Ffi;
export type Calls = Record<keyof typeof CALLS, (...args: readonly number[]) => number>;
/** For tests of what the runtime may do between a call and the look at its error number. */
export type Between = (calls: Calls, errno: Int32Array) => Calls;

/** Why this thread cannot have them; thrown by `openSystemCalls`. */
export class NoSystemCalls extends Error {
  override readonly name = 'NoSystemCalls';
}

/** @throws NoSystemCalls */
export function openSystemCalls(marks: ThreadMarks, between: Between): SystemCalls {
  if (platform() !== 'linux') throw new NoSystemCalls(`the platform is ${platform()}`);
  if (arch() !== 'x64' && arch() !== 'arm64') throw new NoSystemCalls(`the processor is ${arch()}`);
  const ffi = process.getBuiltinModule('node:ffi') as Ffi | undefined;
  if (ffi === undefined) throw new NoSystemCalls('the runtime has no node:ffi');
  const { functions: once } = ffi.dlopen(null, SET_UP);
  const base = mapLow((at, flags) =>
    Number(once.mmap(at, BigInt(MAP_BYTES), MAP_PROTECTION, MAP_FLAGS | flags, -1, 0n)),
  );
  const memory = Buffer.from(ffi.toArrayBuffer(BigInt(base), REGION_BYTES, false));
  // Of its own, behind the region: nobody else can write to it.
  const table = new Int32Array(
    ffi.toArrayBuffer(BigInt(base + REGION_BYTES), TABLE_WORDS * 4, false),
  );
  const errno = new Int32Array(ffi.toArrayBuffer(once.__errno_location(), 4, false));
  const loop = ffi.getCurrentEventLoop();
  const metrics = BigInt(base + METRICS_AT);
  marks.words[UNMAP_AT] = base;
  return new SystemCalls({
    calls: between(ffi.dlopen(null, CALLS).functions, errno),
    base,
    memory,
    table,
    errno,
    open: marks.open,
    backend: once.uv_backend_fd(loop),
    backendTimeout: () => once.uv_backend_timeout(loop),
    backendEvents: () => {
      once.uv_metrics_info(loop, metrics);
      return memory.readUInt32LE(METRICS_AT + 8);
    },
  });
}

/**
 * Closes and unmaps what a thread has left that is gone. `resets` its connections: what a thread leaves that died was cut, and its
 * peers may not take that for an end.
 */
export function reclaim(shared: SharedArrayBuffer, resets: boolean): void {
  const { words, open } = marksOf(shared);
  const base = words[UNMAP_AT] as number;
  if (base === 0) return;
  const ffi = process.getBuiltinModule('node:ffi');
  const { functions } = ffi.dlopen(null, TEAR_DOWN);
  // `struct linger`: on, and for no time. Nobody else uses the region now.
  const linger = new Int32Array(ffi.toArrayBuffer(BigInt(base + OPTION_AT), LINGER_BYTES, false));
  linger.set([1, 0]);
  // Who loses its connection comes back at once, and must not meet a queue that goes next.
  for (const mark of [LISTENS, OPEN]) {
    for (let fd = open.indexOf(mark); fd >= 0; fd = open.indexOf(mark, fd + 1)) {
      open[fd] = 0;
      // Refused where it is no socket.
      if (resets) functions.setsockopt(fd, SOL_SOCKET, SO_LINGER, base + OPTION_AT, LINGER_BYTES);
      functions.close(fd);
    }
  }
  words[UNMAP_AT] = 0;
  functions.munmap(BigInt(base), BigInt(MAP_BYTES));
}

function mapLow(map: (at: bigint, flags: number) => number): number {
  const tries: [number, number][] = HINTS.map((at) => [at, MAP_FIXED_NOREPLACE]);
  if (arch() === 'x64') tries.unshift([0, MAP_32BIT]);
  for (const [at, flags] of tries) {
    const base = map(BigInt(at), flags);
    if (base > 0 && base + MAP_BYTES <= LOW_END) return base;
    // An address above is of no use: old kernels take the hint for a wish. It stays mapped, and untouched costs nothing.
  }
  throw new NoSystemCalls('no memory below 2 GiB');
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
  readonly base: number;
  readonly memory: Buffer<ArrayBuffer>;
  readonly table: Int32Array;
  readonly errno: Int32Array;
  /** 1 for each descriptor that was opened here and not closed. */
  readonly open: Uint8Array;
  readonly backend: number;
  readonly backendTimeout: () => number;
  readonly backendEvents: () => number;
}

export class SystemCalls {
  readonly memory: Buffer<ArrayBuffer>;
  /** The region up to the last event, in words. */
  readonly words: Int32Array;
  readonly backend: number;
  readonly backendTimeout: () => number;
  readonly backendEvents: () => number;
  readonly #calls: Calls;
  readonly #directCalls: readonly DirectCall[];
  readonly #base: number;
  readonly #table: Int32Array;
  readonly #errno: Int32Array;
  readonly #open: Uint8Array;
  /** Datagrams that came by the last call. */
  #came = 0;

  constructor(parts: Parts) {
    const { memory } = parts;
    this.memory = memory;
    this.words = new Int32Array(memory.buffer, memory.byteOffset, EVENTS_AT + 16 * EVENTS_MAX);
    this.backend = parts.backend;
    this.backendTimeout = parts.backendTimeout;
    this.backendEvents = parts.backendEvents;
    this.#calls = parts.calls;
    this.#directCalls = directCalls(parts.calls);
    this.#base = parts.base;
    this.#table = parts.table;
    this.#errno = parts.errno;
    this.#open = parts.open;
  }

  /** No descriptor is as high as that. */
  get descriptorsEnd(): number {
    return this.#open.length;
  }

  createEpoll(): number {
    return this.#opened(this.#calls.epoll_create1(EPOLL_CLOEXEC));
  }

  /** The event stands at EVENT_AT. */
  control(epoll: number, operation: number, fd: number): number {
    if (fd !== this.backend) this.#own(fd);
    const at = this.#base + EVENT_AT;
    return this.#result(this.#calls.epoll_ctl(this.#own(epoll), operation, fd, at));
  }

  /** Leaves the events at EVENTS_AT. */
  wait(epoll: number, timeoutMs: number): number {
    const at = this.#base + EVENTS_AT;
    return this.#result(this.#calls.epoll_wait(this.#own(epoll), at, EVENTS_MAX, timeoutMs));
  }

  socket(family: number): number {
    return this.#opened(this.#calls.socket(family, SOCK_STREAM | SOCK_FLAGS, 0));
  }

  bind(fd: number, length: number): number {
    this.#within(ADDRESS_AT, length);
    return this.#result(this.#calls.bind(this.#own(fd), this.#base + ADDRESS_AT, length));
  }

  listen(fd: number, backlog: number): number {
    const result = this.#result(this.#calls.listen(this.#own(fd), backlog));
    if (result >= 0) this.#open[fd] = LISTENS;
    return result;
  }

  accept(fd: number): number {
    this.words[LENGTH_AT >> 2] = ADDRESS_ROOM;
    const base = this.#base;
    return this.#opened(
      this.#calls.accept4(this.#own(fd), base + ADDRESS_AT, base + LENGTH_AT, SOCK_FLAGS),
    );
  }

  connect(fd: number, length: number): number {
    this.#within(ADDRESS_AT, length);
    return this.#result(this.#calls.connect(this.#own(fd), this.#base + ADDRESS_AT, length));
  }

  localAddress(fd: number): number {
    this.words[LENGTH_AT >> 2] = ADDRESS_ROOM;
    const base = this.#base;
    return this.#result(
      this.#calls.getsockname(this.#own(fd), base + ADDRESS_AT, base + LENGTH_AT),
    );
  }

  /** The value stands at OPTION_AT. */
  setOption(fd: number, level: number, name: number, bytes: 4 | 8): number {
    this.#within(OPTION_AT, bytes);
    const at = this.#base + OPTION_AT;
    return this.#result(this.#calls.setsockopt(this.#own(fd), level, name, at, bytes));
  }

  /** Leaves a word at OPTION_AT. */
  option(fd: number, level: number, name: number): number {
    this.words[LENGTH_AT >> 2] = 4;
    const base = this.#base;
    return this.#result(
      this.#calls.getsockopt(this.#own(fd), level, name, base + OPTION_AT, base + LENGTH_AT),
    );
  }

  /** Leaves a word at OPTION_AT. */
  unacknowledged(fd: number): number {
    return this.#result(this.#calls.ioctl(this.#own(fd), SIOCOUTQ, this.#base + OPTION_AT));
  }

  /** Leaves a word at OPTION_AT. */
  unread(fd: number): number {
    return this.#result(this.#calls.ioctl(this.#own(fd), SIOCINQ, this.#base + OPTION_AT));
  }

  /** Leaves two descriptors at OPTION_AT. */
  pipe(): number {
    const result = this.#result(this.#calls.pipe2(this.#base + OPTION_AT, PIPE_FLAGS));
    if (result < 0) return result;
    const output = this.#opened(this.words[OPTION_AT >> 2] as number);
    const input = this.#opened(this.words[(OPTION_AT >> 2) + 1] as number);
    if (output >= 0 && input >= 0) return 0;
    if (output >= 0) this.close(output);
    if (input >= 0) this.close(input);
    return -EMFILE;
  }

  sizePipe(fd: number, bytes: number): number {
    return this.#result(this.#calls.fcntl(this.#own(fd), F_SETPIPE_SZ, bytes));
  }

  splice(from: number, to: number, bytes: number): number {
    return this.#result(
      this.#calls.splice(this.#own(from), 0, this.#own(to), 0, bytes, SPLICE_FLAGS),
    );
  }

  read(fd: number, at: number, length: number): number {
    this.#within(at, length);
    return this.#result(this.#direct(READ, this.#own(fd), this.#base + at, length));
  }

  write(fd: number, at: number, length: number): number {
    this.#within(at, length);
    return this.#result(this.#direct(WRITE, this.#own(fd), this.#base + at, length));
  }

  datagramSocket(family: number): number {
    return this.#opened(this.#calls.socket(family, SOCK_DGRAM | SOCK_FLAGS, 0));
  }

  /** Where `receiveMany` leaves datagrams. */
  receiveAt(at: number): void {
    this.#within(at, DATAGRAMS_MAX * DATAGRAM_STRIDE);
    const sizes = { address: 0, control: 0, data: DATAGRAM_ROOM };
    for (let i = 0; i < DATAGRAMS_MAX; i++) this.#place(i, at + i * DATAGRAM_STRIDE, sizes);
    this.#came = DATAGRAMS_MAX;
  }

  receiveMany(fd: number, isErrors: boolean): number {
    const table = this.#table;
    // What came before has left its own lengths there.
    for (let i = 0; i < this.#came; i++) {
      table[i * HEADER + NAME_LENGTH] = DATAGRAM_CONTROL;
      table[i * HEADER + CONTROL_LENGTH] = DATAGRAM_DATA - DATAGRAM_CONTROL;
    }
    const at = this.#base + REGION_BYTES;
    const flags = isErrors ? MSG_ERRQUEUE : 0;
    const count = this.#calls.recvmmsg(this.#own(fd), at, DATAGRAMS_MAX, flags, 0);
    const result = this.#result(count);
    this.#came = Math.max(count, 1);
    return result;
  }

  /** Of one that has come. */
  messageBytes(index: number): number {
    return this.#table[index * HEADER + MESSAGE_LENGTH] as number;
  }

  controlBytes(index: number): number {
    return this.#table[index * HEADER + CONTROL_LENGTH] as number;
  }

  /** One that is to leave. */
  putMessage(message: number, at: number, sizes: MessageSizes): void {
    this.#within(at, sizes.address);
    this.#within(at + DATAGRAM_CONTROL, sizes.control);
    this.#within(at + DATAGRAM_DATA, sizes.data);
    this.#messages(message, 1);
    this.#place(DATAGRAMS_MAX + message, at, sizes);
  }

  sendMany(fd: number, first: number, count: number): number {
    this.#messages(first, count);
    const at = this.#base + REGION_BYTES + (DATAGRAMS_MAX + first) * HEADER * 4;
    return this.#result(this.#calls.sendmmsg(this.#own(fd), at, count, 0));
  }

  #place(header: number, at: number, sizes: MessageSizes): void {
    const [table, address] = [this.#table, this.#base + at];
    const [word, vector] = [header * HEADER, HEADERS * HEADER + header * VECTOR];
    table[word] = address;
    table[word + NAME_LENGTH] = sizes.address;
    table[word + 4] = this.#base + REGION_BYTES + vector * 4;
    table[word + 6] = 1;
    table[word + 8] = address + DATAGRAM_CONTROL;
    table[word + CONTROL_LENGTH] = sizes.control;
    table[vector] = address + DATAGRAM_DATA;
    table[vector + 2] = sizes.data;
  }

  /** Leaves words at MEMINFO_AT. */
  memoryInfo(fd: number): number {
    this.words[LENGTH_AT >> 2] = MEMINFO_BYTES;
    const base = this.#base;
    return this.#result(
      this.#calls.getsockopt(
        this.#own(fd),
        SOL_SOCKET,
        SO_MEMINFO,
        base + MEMINFO_AT,
        base + LENGTH_AT,
      ),
    );
  }

  shutdown(fd: number): number {
    return this.#result(this.#calls.shutdown(this.#own(fd), SHUT_WR));
  }

  close(fd: number): number {
    // Before the call: from then on the number may be that of another thread's descriptor.
    this.#open[this.#own(fd)] = 0;
    return this.#result(this.#calls.close(fd));
  }

  /** It stays open, and from now on it is for somebody else to close it. */
  disown(fd: number): void {
    this.#open[this.#own(fd)] = 0;
  }

  #direct(which: number, fd: number, address: number, length: number): number {
    return (this.#directCalls[which] as DirectCall)(fd, address, length);
  }

  /** Read at once. */
  #result(result: number): number {
    return result >= 0 ? result : -(this.#errno[0] as number);
  }

  #opened(result: number): number {
    const fd = this.#result(result);
    if (fd < 0) return fd;
    if (fd < this.#open.length) {
      this.#open[fd] = OPEN;
      return fd;
    }
    this.#calls.close(fd);
    return -EMFILE;
  }

  /** @throws Defect when it is not open, or was not opened here */
  #own(fd: number): number {
    if ((this.#open[fd] ?? 0) === 0) throw new Defect(`descriptor ${fd} is not open here`);
    return fd;
  }

  /** No fraction passes, which would be another place in the table. */
  #messages(first: number, count: number): void {
    if (first >>> 0 === first && count >>> 0 === count && first + count <= MESSAGES_MAX) return;
    throw new Defect(`${count} messages from ${first} on are not in the table`);
  }

  /** Written so that NaN does not pass. */
  #within(at: number, length: number): void {
    if (at >= 0 && length >= 0 && at + length <= REGION_BYTES) return;
    throw new Defect(`${length} bytes at ${at} are not in the region`);
  }
}
