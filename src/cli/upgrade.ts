/** `maesh upgrade`: brings the mesh of a cluster to this version, and to other values. */

import { Command } from 'commander';

import type { CliContext } from './context.ts';
import { addInstallOptions, runInstall } from './install-run.ts';

const EXAMPLES = `
Earlier values are kept; the values given now override them. Every change is shown. Objects that are no longer needed are deleted.

Examples:
  maesh upgrade --dry-run server
  maesh upgrade --set agent.threads=4
  maesh upgrade --reset-values --values values.yaml`;

export function upgradeCommand(context: CliContext): Command {
  const command = new Command('upgrade')
    .summary('upgrade or reconfigure the mesh of a cluster')
    .description(
      'Upgrades the mesh of a cluster to this version and these values, and shows what changes.',
    )
    .option('--reset-values', 'discard earlier values')
    .addHelpText('after', EXAMPLES)
    .action(async () => context.exit(await runInstall(command, context, true)));
  return addInstallOptions(command);
}
