/** `maesh install`: puts the mesh into a cluster, as the chart does, without Helm. */

import { Command } from 'commander';

import type { CliContext } from './context.ts';
import { addInstallOptions, runInstall } from './install-run.ts';

const EXAMPLES = `
The values are those of the chart (docs/install.md). If you installed with Helm, make changes with Helm.

Examples:
  maesh install
  maesh install --set controller.replicas=3 --set mesh.default=opt-in
  maesh install --values values.yaml --dry-run client -o yaml > maesh.yaml`;

export function installCommand(context: CliContext): Command {
  const command = new Command('install')
    .summary('install the mesh into a cluster')
    .description(
      'Installs the mesh into a cluster, as its Helm chart does, and waits until it runs.',
    )
    .addHelpText('after', EXAMPLES)
    .action(async () => context.exit(await runInstall(command, context, false)));
  return addInstallOptions(command);
}
