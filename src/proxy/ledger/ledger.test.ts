import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LedgerView } from './cells.ts';
import { Ledger } from './ledger.ts';
import { SHAPES, SLOT_KINDS, type SlotKind } from './layout.ts';

/** Threads count something in them. */
const COUNTING = SLOT_KINDS.filter((kind) => SHAPES[kind].own > 0);

function viewOf(ledger: Ledger, thread: number): LedgerView {
  const view = new LedgerView();
  for (const kind of SLOT_KINDS) {
    for (let i = 0; i < ledger.chunkCount(kind); i++) view.add(ledger.chunk(kind, i, thread));
  }
  return view;
}

test('allocate() gives every key one slot of its own and keeps it', () => {
  const ledger = new Ledger(1);
  const keys = Array.from({ length: 3_000 }, (_, i) => `key-${i}`);
  for (const kind of SLOT_KINDS) {
    const slots = keys.map((key) => ledger.allocate(kind, key));
    assert.equal(new Set(slots).size, keys.length);
    assert.deepEqual(
      keys.map((key) => ledger.allocate(kind, key)),
      slots,
    );
  }
});

test('release() makes a slot free for another key, which finds it empty', () => {
  const ledger = new Ledger(2);
  const slot = ledger.allocate('endpoint', 'a');
  ledger.setWord('endpoint', slot, 3, 7);
  ledger.setFloat('endpoint', slot, 1, 1.5);
  ledger.setOwnCell('endpoint', slot, 5, 1, 9);
  ledger.release('endpoint', 'a');
  assert.equal(ledger.find('endpoint', 'a'), undefined);
  assert.equal(ledger.allocate('endpoint', 'b'), slot);
  assert.equal(ledger.word('endpoint', slot, 3), 0);
  assert.equal(ledger.float('endpoint', slot, 1), 0);
  assert.equal(ledger.sum('endpoint', slot, 5), 0);
});

test('cells() of a thread and the ledger are the same memory', () => {
  const arbitrary = fc.array(
    fc.record({
      kind: fc.constantFrom(...COUNTING),
      key: fc.nat({ max: 2_500 }),
      thread: fc.nat({ max: 2 }),
      cell: fc.nat({ max: 3 }),
      amount: fc.integer({ min: 1, max: 1_000 }),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(arbitrary, (steps) => {
      const ledger = new Ledger(3);
      const expected = new Map<string, number>();
      for (const { kind, key, thread, cell, amount } of steps) {
        const slot = ledger.allocate(kind, `k${key}`);
        const cells = viewOf(ledger, thread).cells(kind, slot);
        const at = cells.o + cell;
        cells.own[at] = (cells.own[at] ?? 0) + amount;
        const id = `${kind} ${slot} ${cell}`;
        expected.set(id, (expected.get(id) ?? 0) + amount);
      }
      for (const [id, total] of expected) {
        const [kind, slot, cell] = id.split(' ') as [SlotKind, string, string];
        assert.equal(ledger.sum(kind, Number(slot), Number(cell)), total);
      }
    }),
    { numRuns: 50 },
  );
});

test('words and floats of one slot stay clear of its neighbours', () => {
  for (const kind of SLOT_KINDS) {
    const ledger = new Ledger(1);
    const shape = SHAPES[kind];
    const slots = Array.from({ length: 5 }, (_, i) => ledger.allocate(kind, `k${i}`));
    const cells = viewOf(ledger, 0).cells(kind, slots[2] ?? 0);
    cells.words.fill(-1, cells.w, cells.w + shape.words);
    cells.floats.fill(2.5, cells.f, cells.f + shape.floats);
    for (const slot of slots.filter((other) => other !== slots[2])) {
      for (let i = 0; i < shape.words; i++) assert.equal(ledger.word(kind, slot, i), 0);
      for (let i = 0; i < shape.floats; i++) assert.equal(ledger.float(kind, slot, i), 0);
    }
    for (let i = 0; i < shape.words; i++) assert.equal(ledger.word(kind, slots[2] ?? 0, i), -1);
    for (let i = 0; i < shape.floats; i++) assert.equal(ledger.float(kind, slots[2] ?? 0, i), 2.5);
  }
});

test('sumInto() adds up a range over all threads', () => {
  const ledger = new Ledger(3);
  const slot = ledger.allocate('service', 'shop/web');
  for (let thread = 0; thread < 3; thread++) {
    for (let i = 0; i < 6; i++) ledger.setOwnCell('service', slot, i, thread, 10 ** thread * i);
  }
  const into = new Float64Array(6).fill(99);
  ledger.sumInto('service', slot, 0, into);
  assert.deepEqual([...into], [0, 111, 222, 333, 444, 555]);
});
