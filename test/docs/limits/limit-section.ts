/** One section of docs/limits-full.md. */

/** What is bounded; what happens at the bound; the constant, as `folder/file.ts NAME` below src. The value is read from the code. */
export type LimitRow = readonly [what: string, then: string, where: string];

export interface LimitSection {
  readonly title: string;
  /** A paragraph below the title; may be empty. */
  readonly intro: string;
  readonly rows: readonly LimitRow[];
}
