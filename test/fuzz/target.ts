/** What the fuzzer needs of a parser: inputs to start from, and a run that throws when an invariant is broken. */

export interface FuzzTarget {
  readonly name: string;
  /** Inputs that mutations start from. */
  readonly seeds: readonly Buffer[];
  /** Pieces of syntax that mutations put in. */
  readonly dictionary: readonly string[];
  /** Feeds one input to the parser; throws when what comes out breaks an invariant. Must not keep the buffer. */
  run(input: Buffer): void;
}

/** Throws with `message` unless `condition` holds. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${message}`);
}
