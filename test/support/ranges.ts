/**
 * Ranges of addresses of this process alone, all in 127/8: two checkouts may run their tests at the same time. They are apart
 * from those of `freshAddress` and of test/explain, and from the ranges that `maesh up` has by default.
 */

const SECOND_FIRST = 10;
const SECONDS = 64;
/** Ranges of one process; the next process begins behind them. */
const RANGES = 16;
const BLOCKS_PER_SECOND = 256 / RANGES;

export interface Range {
  /** `127.10.16.0/24`. */
  readonly cidr: string;
  /** Its address with this last number. */
  host(last: number): string;
}

/** All ranges of the process with this id, as one. */
export function rangesOf(pid: number): string {
  return `${netOf(pid, 0)}.0/20`;
}

let taken = 0;

/** One that nothing else in this process uses: a test that is over has given back what it had. */
export function ownRange(): Range {
  const net = netOf(process.pid, taken++ % RANGES);
  return { cidr: `${net}.0/24`, host: (last) => `${net}.${last}` };
}

function netOf(pid: number, index: number): string {
  const block = pid % (SECONDS * BLOCKS_PER_SECOND);
  const second = SECOND_FIRST + Math.floor(block / BLOCKS_PER_SECOND);
  return `127.${second}.${RANGES * (block % BLOCKS_PER_SECOND) + index}`;
}
