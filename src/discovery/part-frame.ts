/** A part as a frame that is ready to be sent, and who can be sent it. */

export interface PartFrame {
  readonly bytes: Buffer;
  /** null when every agent understands it. */
  readonly needs: Needs | null;
}

export interface Needs {
  /** What an agent must understand for it. Never empty. */
  readonly terms: readonly string[];
  /** The part for those that do not: that its Services are gone. */
  readonly without: Buffer;
}

/** Names that an agent understands. */
export type Understanding = ReadonlySet<string>;

export function isUnderstood(terms: readonly string[], by: Understanding): boolean {
  return terms.every((term) => by.has(term));
}

/** For what every agent understands, and for what nobody is sent. */
export function plainFrame(bytes: Buffer): PartFrame {
  return { bytes, needs: null };
}
