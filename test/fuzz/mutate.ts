/** Makes a new input from old ones: a few random edits of bytes, ranges and pieces of syntax. */
import type { Random } from '../../src/base/random.ts';

const INPUT_BYTES_MAX = 4096;
const INTERESTING = Buffer.from([
  0, 1, 9, 10, 11, 13, 31, 32, 34, 44, 45, 47, 48, 57, 58, 59, 61, 63, 92, 95, 127, 128, 255,
]);

export function below(random: Random, limit: number): number {
  return Math.floor(random.next() * limit);
}

export function oneOf<T>(random: Random, list: readonly T[]): T {
  return list[below(random, list.length)]!;
}

export function mutate(
  random: Random,
  seeds: readonly Buffer[],
  dictionary: readonly string[],
): Buffer {
  let input = oneOf(random, seeds);
  for (let edits = below(random, 6); edits >= 0; edits--)
    input = edit(random, input, seeds, dictionary);
  return input.length > INPUT_BYTES_MAX ? input.subarray(0, INPUT_BYTES_MAX) : input;
}

function edit(
  random: Random,
  input: Buffer,
  seeds: readonly Buffer[],
  dictionary: readonly string[],
): Buffer {
  const at = below(random, input.length + 1);
  const size = 1 + below(random, random.next() < 0.8 ? 4 : 64);
  const before = input.subarray(0, at);
  switch (below(random, 9)) {
    case 0: {
      const copy = Buffer.from(input);
      if (at < copy.length) copy[at] = below(random, 256);
      return copy;
    }
    case 1: {
      const copy = Buffer.from(input);
      if (at < copy.length) copy[at]! ^= 1 << below(random, 8);
      return copy;
    }
    case 2:
      return Buffer.concat([before, input.subarray(at + size)]);
    case 3:
      return Buffer.concat([
        before,
        Buffer.from([oneOf(random, [...INTERESTING])]),
        input.subarray(at),
      ]);
    case 4:
      return Buffer.concat([before, input.subarray(at, at + size), input.subarray(at)]);
    case 5:
      return before;
    case 6: {
      const other = oneOf(random, seeds);
      return Buffer.concat([before, other.subarray(below(random, other.length + 1))]);
    }
    case 7:
      return Buffer.concat([
        before,
        Buffer.alloc(below(random, 300), oneOf(random, [...INTERESTING, 0x61])),
        input.subarray(at),
      ]);
    default: {
      if (dictionary.length === 0) return before;
      const piece = Buffer.from(oneOf(random, dictionary), 'latin1');
      return Buffer.concat([before, piece, input.subarray(random.next() < 0.5 ? at : at + size)]);
    }
  }
}
