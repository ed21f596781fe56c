/** A thread's view of the shared memory: typed arrays and the offsets of one slot in them. */

import assert from 'node:assert';
import { type ChunkMessage, sharedOffsets } from './ledger.ts';
import { SHAPES, type SlotKind } from './layout.ts';

/** One slot as a thread sees it: read `words[w + SERVICE_WORD.inFlight]` and so on. */
export interface Cells {
  readonly slot: number;
  readonly words: Int32Array;
  readonly w: number;
  readonly floats: Float64Array;
  readonly f: number;
  readonly own: Float64Array;
  readonly o: number;
}

/** Of no slot: what is counted there nobody sees. */
export function looseCells(kind: SlotKind, slot = -1): Cells {
  const { words, floats, own } = SHAPES[kind];
  return {
    slot,
    words: new Int32Array(words),
    w: 0,
    floats: new Float64Array(floats),
    f: 0,
    own: new Float64Array(own),
    o: 0,
  };
}

interface View {
  readonly words: Int32Array;
  readonly floats: Float64Array;
  readonly own: Float64Array;
}

export class LedgerView {
  readonly #chunks: Record<SlotKind, View[]> = {
    service: [],
    endpoint: [],
    status: [],
    route: [],
  };

  /** Chunks arrive in order of their index, before the first delta that uses them. */
  add(message: ChunkMessage): void {
    const shape = SHAPES[message.kind];
    const at = sharedOffsets(message.kind);
    const count = shape.slotsPerChunk;
    this.#chunks[message.kind][message.index] = {
      words: new Int32Array(message.shared, 0, shape.words * count),
      floats: new Float64Array(message.shared, at.floats, shape.floats * count),
      own: new Float64Array(message.own),
    };
  }

  cells(kind: SlotKind, slot: number): Cells {
    const shape = SHAPES[kind];
    const view = this.#chunks[kind][Math.floor(slot / shape.slotsPerChunk)];
    assert(view !== undefined, `no ${kind} chunk for slot ${slot}`);
    const offset = slot % shape.slotsPerChunk;
    return {
      slot,
      words: view.words,
      w: offset * shape.words,
      floats: view.floats,
      f: offset * shape.floats,
      own: view.own,
      o: offset * shape.own,
    };
  }
}
