/**
 * One line per request, gathered in memory and written behind the traffic. A slow or full disk costs lines, which are
 * counted, never requests:
 *
 *   write() ──► current chunk ──64 KiB or 100 ms──► queue ──one write at a time──► sink
 *                     └──── queue and chunk hold 1 MiB: dropped + 1 ────┘
 *
 * A write that fails keeps its chunk and is tried again, so the lines from before the trouble come out first.
 */

import type { Clock, Timer } from '../../base/clock.ts';
import { codeOf } from '../../base/error.ts';
import { type Log, silentLog } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { AccessLogSettings } from '../../model/settings.ts';
import { AccessFormat, LINE_BYTES_MAX } from './access-format.ts';
import { AccessRecord } from './access-record.ts';
import type { AccessSink } from './access-sink.ts';
import { LineWriter } from './line-writer.ts';

export { AccessRecord };

/** A chunk is handed on when it has this many bytes … */
const CHUNK_BYTES = 65_536;
/** … or after this time. */
export const FLUSH_MS = 100;
/** Lines that wait take at most this much memory per thread. */
export const QUEUE_BYTES_MAX = 1_048_576;
/** Pause after a write that failed. */
export const RETRY_MS = 1_000;
/** At most one message about a failing log in this time. */
export const COMPLAIN_MS = 60_000;
const CHUNKS_KEPT_MAX = 2;
const LF = 0x0a;

interface Chunk {
  readonly text: LineWriter;
  lines: number;
  /** Bytes that the sink took already. */
  sent: number;
}

export class AccessLog {
  /** Lines that the sink took. */
  written = 0;
  /** Lines that were lost because the sink was slow, full or broken. */
  dropped = 0;
  /** Lines that whoever writes them left out, where there would be one for each datagram that somebody sends. */
  leftOut = 0;
  readonly #settings: AccessLogSettings;
  readonly #format: AccessFormat;
  readonly #sink: AccessSink;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #timer: Timer;
  readonly #spare: Chunk[] = [];
  #current: Chunk = newChunk();
  #queue: Chunk[] = [];
  #queuedBytes = 0;
  #busy = false;
  #reopen = false;
  /** The last write failed, and not only because a pipe is full. */
  #failing = false;
  #notBeforeMs = 0;
  #complainAtMs = 0;
  #onIdle: (() => void) | null = null;

  /** `settings.format` must not be 'off'. The sink belongs to the log from now on. */
  constructor(settings: AccessLogSettings, sink: AccessSink, clock: Clock, log: Log = silentLog) {
    this.#settings = settings;
    this.#format = new AccessFormat(
      settings.format === 'common' ? 'common' : 'json',
      settings.query,
    );
    this.#sink = sink;
    this.#clock = clock;
    this.#log = log;
    this.#timer = clock.every(FLUSH_MS, () => this.#flush());
  }

  /** Whether to log a request with this status (0: no response); `failure` is true when the proxy itself ended it. */
  wants(status: number, failure: boolean, random: Random): boolean {
    if (this.#settings.format === 'off') return false;
    if (failure) return true;
    if (status < this.#settings.statusMin) return false;
    return this.#settings.sample >= 1 || random.next() < this.#settings.sample;
  }

  /** See `AccessRecord.origin`. */
  origin(record: AccessRecord): Uint8Array {
    return this.#format.origin(record);
  }

  /** Takes one line, or drops it when too many wait. The record is free again on return. */
  write(record: AccessRecord): void {
    if (this.#queuedBytes + this.#current.text.length >= QUEUE_BYTES_MAX) {
      this.dropped += 1;
      return;
    }
    this.#format.append(this.#current.text, record);
    this.#current.lines += 1;
    if (this.#current.text.length >= CHUNK_BYTES) this.#flush();
  }

  /** Opens the file anew before the next chunk, for log rotation. */
  reopen(): void {
    this.#reopen = true;
    this.#notBeforeMs = 0;
    this.#flush();
  }

  /** Writes what waits and closes the sink. What the sink does not take at once is dropped. */
  async close(): Promise<void> {
    this.#timer.cancel();
    this.#notBeforeMs = 0;
    this.#flush();
    if (this.#busy) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onIdle = resolve;
      await promise;
    }
    for (const chunk of this.#queue) this.dropped += chunk.lines;
    this.#queue = [];
    this.#sink.close();
  }

  #flush(): void {
    if (this.#current.lines > 0 && (!this.#busy || this.#current.text.length >= CHUNK_BYTES)) {
      this.#queue.push(this.#current);
      this.#queuedBytes += this.#current.text.length;
      this.#current = this.#spare.pop() ?? newChunk();
    }
    this.#pump();
  }

  #pump(): void {
    if (this.#busy || this.#clock.nowMs() < this.#notBeforeMs) return;
    const chunk = this.#queue[0];
    // A line is finished where it began, unless the disk has no room for its rest: then rotation is the way out.
    const mayReopen = this.#failing || chunk === undefined || chunk.sent === 0;
    if (this.#reopen && mayReopen) this.#startReopen();
    else if (chunk !== undefined) this.#startWrite(chunk);
  }

  /** Gives up the line that the old file has a part of, if any, so that the new one begins with a whole line. */
  #cutLine(chunk: Chunk): void {
    const { buffer, length } = chunk.text;
    if (chunk.sent === 0 || buffer[chunk.sent - 1] === LF) return;
    chunk.sent = buffer.indexOf(LF, chunk.sent) + 1;
    chunk.lines -= 1;
    this.dropped += 1;
    if (chunk.sent === length) this.#finish(chunk);
  }

  #startReopen(): void {
    this.#reopen = false;
    this.#busy = true;
    this.#sink.reopen((error, isNew) => {
      if (error !== null)
        this.#complain('Cannot reopen the access log: lines go on to the old file', error);
      if (isNew && this.#queue[0] !== undefined) this.#cutLine(this.#queue[0]);
      this.#next();
    });
  }

  #startWrite(chunk: Chunk): void {
    this.#busy = true;
    const { buffer, length } = chunk.text;
    this.#sink.write(buffer, chunk.sent, length - chunk.sent, (error, written) => {
      if (error === null) chunk.sent += written;
      if (chunk.sent === length) this.#finish(chunk);
      if (error !== null || written === 0) this.#hold(error);
      else this.#failing = false;
      this.#next();
    });
  }

  #finish(chunk: Chunk): void {
    this.#queue.shift();
    this.#queuedBytes -= chunk.text.length;
    this.written += chunk.lines;
    chunk.text.length = 0;
    chunk.lines = 0;
    chunk.sent = 0;
    if (this.#spare.length < CHUNKS_KEPT_MAX) this.#spare.push(chunk);
  }

  /** A full pipe is only slow; anything else deserves a pause and a word. */
  #hold(error: Error | null): void {
    const isFullPipe = error !== null && 'code' in error && error.code === 'EAGAIN';
    this.#failing = !isFullPipe;
    this.#notBeforeMs = this.#clock.nowMs() + (isFullPipe ? FLUSH_MS : RETRY_MS);
    if (!isFullPipe) {
      const remedy = codeOf(error) === 'disk_full' ? 'make room on the disk' : 'see the reason';
      this.#complain(`Cannot write the access log: ${remedy}; requests go on without it`, error);
    }
  }

  #next(): void {
    this.#busy = false;
    this.#pump();
    if (this.#busy || this.#onIdle === null) return;
    this.#flush();
    if (!this.#busy) this.#onIdle();
  }

  #complain(message: string, error: Error | null): void {
    const now = this.#clock.nowMs();
    if (now < this.#complainAtMs) return;
    this.#complainAtMs = now + COMPLAIN_MS;
    this.#log.warn(message, {
      reason: error?.message ?? 'no byte was taken',
      dropped: this.dropped,
    });
  }
}

function newChunk(): Chunk {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES + LINE_BYTES_MAX);
  return { text: new LineWriter(buffer), lines: 0, sent: 0 };
}
