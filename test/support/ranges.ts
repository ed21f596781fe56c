/**
 * Ranges of addresses of this process alone, all in 127/8: two checkouts may run their tests at the same time, and processes of an
 * earlier test may not have ended yet. They are apart
 * from those of `freshAddress` and of test/explain, and from the ranges that `maesh up` has by default.
 */

import { readFileSync } from 'node:fs';

const SECOND_FIRST = 10;
const SECONDS = 64;
/** Ranges of one process; the next process begins behind them. */
const RANGES = 16;
const BLOCKS_PER_SECOND = 256 / RANGES;
const BLOCKS = SECONDS * BLOCKS_PER_SECOND;

export interface Range {
  /** `127.10.16.0/24`. */
  readonly cidr: string;
  /** Its address with this last number. */
  host(last: number): string;
}

/** All ranges of the process that has this block, as one. */
export function rangesOf(block: number): string {
  return `${netOf(block, 0)}.0/20`;
}

let taken = 0;
let own: number | null = null;

/** The block of this process: that of its id, or the next one where somebody has addresses of that one. */
export function ownBlock(): number {
  if (own !== null) return own;
  const inUse = blocksInUse();
  own = process.pid % BLOCKS;
  for (let i = 0; i < BLOCKS && inUse.has(own); i++) own = (own + 1) % BLOCKS;
  return own;
}

/** One that nothing else in this process uses: a test that is over has given back what it had. */
export function ownRange(): Range {
  const net = netOf(ownBlock(), taken++ % RANGES);
  return { cidr: `${net}.0/24`, host: (last) => `${net}.${last}` };
}

/** Blocks with sockets of any kind, where the system lists them. */
export function blocksInUse(): ReadonlySet<number> {
  const blocks = new Set<number>();
  for (const list of ['tcp', 'udp']) {
    let text = '';
    try {
      text = readFileSync(`/proc/net/${list}`, 'latin1');
    } catch {
      // Not on this system.
    }
    // The address is the local one of the line, its bytes back to front: 0101A8C0:1F90.
    for (const [, third = '', second = ''] of text.matchAll(
      /^ *\d+: [\dA-F]{2}([\dA-F]{2})([\dA-F]{2})7F:/gm,
    )) {
      const [high, low] = [Number.parseInt(second, 16) - SECOND_FIRST, Number.parseInt(third, 16)];
      if (high >= 0 && high < SECONDS)
        blocks.add(high * BLOCKS_PER_SECOND + Math.floor(low / RANGES));
    }
  }
  return blocks;
}

function netOf(id: number, index: number): string {
  const block = id % BLOCKS;
  const second = SECOND_FIRST + Math.floor(block / BLOCKS_PER_SECOND);
  return `127.${second}.${RANGES * (block % BLOCKS_PER_SECOND) + index}`;
}
