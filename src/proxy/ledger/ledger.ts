/**
 * The main thread's side of the shared memory: hands out slots by key, keeps them until nobody uses them, and sums
 * what the threads counted. State belongs to what it protects, so a key that stays keeps its slot through every update.
 */

import assert from 'node:assert';
import { SHAPES, type SlotKind } from './layout.ts';

/** A chunk as it is posted to a thread; `own` is that thread's copy. */
export interface ChunkMessage {
  readonly kind: SlotKind;
  readonly index: number;
  readonly shared: SharedArrayBuffer;
  readonly own: SharedArrayBuffer;
}

interface Chunk {
  readonly words: Int32Array;
  readonly floats: Float64Array;
  readonly shared: SharedArrayBuffer;
  readonly own: readonly Float64Array<SharedArrayBuffer>[];
}

interface Pages {
  readonly chunks: Chunk[];
  readonly slots: Map<string, number>;
  free: number[];
  next: number;
}

function noPages(): Pages {
  return { chunks: [], slots: new Map(), free: [], next: 0 };
}

/** Bytes before the floats of a chunk, which come behind its words, and of all of it. */
export function sharedOffsets(kind: SlotKind): { floats: number; bytes: number } {
  const shape = SHAPES[kind];
  const floats = Math.ceil((shape.words * shape.slotsPerChunk * 4) / 8) * 8;
  return { floats, bytes: floats + shape.floats * shape.slotsPerChunk * 8 };
}

export class Ledger {
  readonly threads: number;
  readonly #pages: Record<SlotKind, Pages> = {
    service: noPages(),
    endpoint: noPages(),
    status: noPages(),
    route: noPages(),
  };

  constructor(threads: number) {
    assert(threads >= 1);
    this.threads = threads;
  }

  /** The slot of `key`, made and zeroed if new. */
  allocate(kind: SlotKind, key: string): number {
    const pages = this.#pages[kind];
    const known = pages.slots.get(key);
    if (known !== undefined) return known;
    const used = pages.free.pop();
    const slot = used ?? pages.next++;
    const chunkIndex = Math.floor(slot / SHAPES[kind].slotsPerChunk);
    while (pages.chunks.length <= chunkIndex) pages.chunks.push(this.#newChunk(kind));
    // A chunk is all zero at first; writing zeros would only make the system back it with memory.
    if (used !== undefined) this.#clear(kind, slot);
    pages.slots.set(key, slot);
    return slot;
  }

  find(kind: SlotKind, key: string): number | undefined {
    return this.#pages[kind].slots.get(key);
  }

  /** Frees the slot of `key` for others. Call it only when no thread uses it any more. */
  release(kind: SlotKind, key: string): void {
    const pages = this.#pages[kind];
    const slot = pages.slots.get(key);
    if (slot === undefined) return;
    pages.slots.delete(key);
    pages.free.push(slot);
  }

  entries(kind: SlotKind): ReadonlyMap<string, number> {
    return this.#pages[kind].slots;
  }

  chunkCount(kind: SlotKind): number {
    return this.#pages[kind].chunks.length;
  }

  /** The chunk as `thread` (0-based) may see it. */
  chunk(kind: SlotKind, index: number, thread: number): ChunkMessage {
    const chunk = this.#at(kind, index);
    const own = chunk.own[thread];
    assert(own !== undefined);
    return { kind, index, shared: chunk.shared, own: own.buffer };
  }

  /** Sum over all threads of one own cell. */
  sum(kind: SlotKind, slot: number, cell: number): number {
    const { chunk, offset } = this.#locate(kind, slot);
    const at = offset * SHAPES[kind].own + cell;
    let total = 0;
    for (const own of chunk.own) total += own[at] ?? 0;
    return total;
  }

  /** Sums `count` own cells from `cell` on over all threads into `into`. */
  sumInto(kind: SlotKind, slot: number, cell: number, into: Float64Array): void {
    const { chunk, offset } = this.#locate(kind, slot);
    const at = offset * SHAPES[kind].own + cell;
    into.fill(0);
    for (const own of chunk.own) {
      for (let i = 0; i < into.length; i++) into[i] = (into[i] ?? 0) + (own[at + i] ?? 0);
    }
  }

  ownCell(kind: SlotKind, slot: number, cell: number, thread: number): number {
    const { chunk, offset } = this.#locate(kind, slot);
    return chunk.own[thread]?.[offset * SHAPES[kind].own + cell] ?? 0;
  }

  setOwnCell(kind: SlotKind, slot: number, cell: number, thread: number, value: number): void {
    const { chunk, offset } = this.#locate(kind, slot);
    const own = chunk.own[thread];
    assert(own !== undefined);
    own[offset * SHAPES[kind].own + cell] = value;
  }

  word(kind: SlotKind, slot: number, cell: number): number {
    const { chunk, offset } = this.#locate(kind, slot);
    return Atomics.load(chunk.words, offset * SHAPES[kind].words + cell);
  }

  setWord(kind: SlotKind, slot: number, cell: number, value: number): void {
    const { chunk, offset } = this.#locate(kind, slot);
    Atomics.store(chunk.words, offset * SHAPES[kind].words + cell, value);
  }

  addWord(kind: SlotKind, slot: number, cell: number, change: number): number {
    const { chunk, offset } = this.#locate(kind, slot);
    return Atomics.add(chunk.words, offset * SHAPES[kind].words + cell, change) + change;
  }

  float(kind: SlotKind, slot: number, cell: number): number {
    const { chunk, offset } = this.#locate(kind, slot);
    return chunk.floats[offset * SHAPES[kind].floats + cell] ?? 0;
  }

  setFloat(kind: SlotKind, slot: number, cell: number, value: number): void {
    const { chunk, offset } = this.#locate(kind, slot);
    chunk.floats[offset * SHAPES[kind].floats + cell] = value;
  }

  #newChunk(kind: SlotKind): Chunk {
    const shape = SHAPES[kind];
    const at = sharedOffsets(kind);
    const shared = new SharedArrayBuffer(Math.max(at.bytes, 8));
    const own = Array.from(
      { length: this.threads },
      () => new Float64Array(new SharedArrayBuffer(shape.own * shape.slotsPerChunk * 8)),
    );
    return {
      shared,
      words: new Int32Array(shared, 0, shape.words * shape.slotsPerChunk),
      floats: new Float64Array(shared, at.floats, shape.floats * shape.slotsPerChunk),
      own,
    };
  }

  #clear(kind: SlotKind, slot: number): void {
    const { chunk, offset } = this.#locate(kind, slot);
    const shape = SHAPES[kind];
    chunk.words.fill(0, offset * shape.words, (offset + 1) * shape.words);
    chunk.floats.fill(0, offset * shape.floats, (offset + 1) * shape.floats);
    for (const own of chunk.own) own.fill(0, offset * shape.own, (offset + 1) * shape.own);
  }

  #locate(kind: SlotKind, slot: number): { chunk: Chunk; offset: number } {
    const per = SHAPES[kind].slotsPerChunk;
    return { chunk: this.#at(kind, Math.floor(slot / per)), offset: slot % per };
  }

  #at(kind: SlotKind, index: number): Chunk {
    const chunk = this.#pages[kind].chunks[index];
    assert(chunk !== undefined, `no ${kind} chunk ${index}`);
    return chunk;
  }
}
