/** `maesh upgrade`: brings the mesh of a cluster to this version, and to other values. */

import { Command } from 'commander';

import type { CliContext } from './context.ts';
import { addInstallOptions, runInstall } from './install-run.ts';

const EXAMPLES = `
Values that were given before stay, those given now come on top. Every change is shown; what is no longer wanted is deleted.

Examples:
  maesh upgrade --dry-run server
  maesh upgrade --set agent.threads=4
  maesh upgrade --reset-values --values values.yaml`;

export function upgradeCommand(context: CliContext): Command {
  const command = new Command('upgrade')
    .summary('change the mesh of a cluster')
    .description(
      'Brings the mesh of a cluster to this version and these values, and shows what changes.',
    )
    .option('--reset-values', 'forget the values that were given before')
    .addHelpText('after', EXAMPLES)
    .action(async () => context.exit(await runInstall(command, context, true)));
  return addInstallOptions(command);
}
