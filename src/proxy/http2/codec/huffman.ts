/**
 * The Huffman code for strings: RFC 7541 §5.2 and appendix B. Decoding takes four bits a step: no code is shorter than five, so
 * that a step ends one symbol at most.
 */

/** Bits of the code of each byte, and of the end of the string. Codes of one length follow each other in that order. */
const LENGTHS = [
  '13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28',
  '28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28',
  '6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6',
  '5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10',
  '13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7',
  '7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6',
  '15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5',
  '6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28',
  '20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23',
  '24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24',
  '22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23',
  '21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23',
  '26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25',
  '19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27',
  '20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23',
  '26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26',
  '30',
].flatMap((row) => row.split(' ').map(Number));

const END_OF_STRING = 256;
/** The string is no code: it has the end of the string inside, or its padding is no beginning of it or too long. */
export const HUFFMAN_BAD = -1;
/** The bytes that it stands for are more than there is room for. */
export const HUFFMAN_NO_ROOM = -2;

const CODES = new Uint32Array(257);
const SORTED = LENGTHS.map((length, symbol) => ({ length, symbol })).toSorted(
  (a, b) => a.length - b.length || a.symbol - b.symbol,
);
let next = 0;
let last = 0;
for (const { length, symbol } of SORTED) {
  next *= 2 ** (length - last);
  CODES[symbol] = next++;
  last = length;
}

/** In a step: a symbol ends, and it stands in the bits from 16 on. The lower nine bits are the next state. */
const EMITS = 0x8000;
/** The state from which nothing leads away: the string is bad. */
const DEAD = 256;

/** The inner nodes of the tree: where 0 and 1 lead, either a node or, above DEAD, a symbol. */
const nodes: [number, number][] = [[DEAD, DEAD]];
for (const { length, symbol } of SORTED) {
  let node = 0;
  for (let bit = length - 1; bit > 0; bit--) {
    const way = (CODES[symbol] as number) & (1 << bit) ? 1 : 0;
    const at = nodes[node] as [number, number];
    if (at[way] === DEAD) at[way] = nodes.push([DEAD, DEAD]) - 1;
    node = at[way];
  }
  const leaf = symbol === END_OF_STRING ? DEAD : DEAD + 1 + symbol;
  (nodes[node] as [number, number])[(CODES[symbol] as number) & 1] = leaf;
}

/** By state and four bits: what the step does. */
const STEPS = new Int32Array((DEAD + 1) * 16).fill(DEAD);
for (let state = 0; state < nodes.length; state++) {
  for (let nibble = 0; nibble < 16; nibble++) {
    let node = state;
    let step = 0;
    for (let bit = 3; bit >= 0 && node !== DEAD; bit--) {
      const to = (nodes[node] as [number, number])[(nibble >> bit) & 1] as number;
      if (to > DEAD) step = EMITS | ((to - DEAD - 1) << 16);
      node = to > DEAD ? 0 : to;
    }
    STEPS[state * 16 + nibble] = step | node;
  }
}

/** The states in which a string may end: after less than a byte of the code of its end, which is all ones. */
const ENDS = new Uint8Array(DEAD + 1);
for (let node = 0, ones = 0; ones < 8; ones++) {
  ENDS[node] = 1;
  node = (nodes[node] as [number, number])[1];
}

/**
 * Writes what `buf[start, end)` stands for to `out`, from `at` up to `limit`.
 * @returns the new end, HUFFMAN_BAD or HUFFMAN_NO_ROOM
 */
// oxlint-disable-next-line max-params -- once per string: an options object would be an allocation
export function decodeHuffman(
  buf: Buffer,
  start: number,
  end: number,
  out: Buffer,
  at: number,
  limit: number,
): number {
  let to = at;
  let state = 0;
  for (let i = start; i < end; i++) {
    const byte = buf[i] as number;
    let step = STEPS[(state << 4) | (byte >> 4)] as number;
    if ((step & EMITS) !== 0) {
      if (to >= limit) return HUFFMAN_NO_ROOM;
      out[to++] = step >> 16;
    }
    step = STEPS[((step & 511) << 4) | (byte & 15)] as number;
    if ((step & EMITS) !== 0) {
      if (to >= limit) return HUFFMAN_NO_ROOM;
      out[to++] = step >> 16;
    }
    state = step & 511;
  }
  return ENDS[state] === 1 ? to : HUFFMAN_BAD;
}

/** How many bytes `buf[start, end)` has in code. */
export function huffmanLength(buf: Buffer, start: number, end: number): number {
  let bits = 0;
  for (let i = start; i < end; i++) bits += LENGTHS[buf[i] as number] as number;
  return (bits + 7) >> 3;
}

/** Writes `buf[start, end)` in code to `out` from `at`, and returns the new end. */
// oxlint-disable-next-line max-params -- those of Buffer.copy
export function encodeHuffman(
  buf: Buffer,
  start: number,
  end: number,
  out: Buffer,
  at: number,
): number {
  let to = at;
  let bits = 0;
  /** Those that are not written yet; less than eight. */
  let rest = 0;
  for (let i = start; i < end; i++) {
    const byte = buf[i] as number;
    let length = LENGTHS[byte] as number;
    const code = CODES[byte] as number;
    // At most 7 + 30 bits wait, which is more than a number of 32 has room for.
    if (length > 24) {
      rest = (rest << (length - 16)) | (code >>> 16);
      bits += length - 16;
      while (bits >= 8) out[to++] = (rest >>> (bits -= 8)) & 255;
      rest &= 255;
      length = 16;
    }
    rest = (rest << length) | (code & ((1 << length) - 1));
    bits += length;
    while (bits >= 8) out[to++] = (rest >>> (bits -= 8)) & 255;
    rest &= 255;
  }
  if (bits > 0) out[to++] = ((rest << (8 - bits)) | (255 >> bits)) & 255;
  return to;
}
