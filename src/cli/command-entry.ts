/** What the table of commands says of each. */

import type { Command } from 'commander';

import type { CliContext } from './context.ts';

/** One per command: the summary for the overview, and where its code is. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<(context: CliContext) => Command>;
}
