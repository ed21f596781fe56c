/** `maesh controller`: the control plane, as the chart runs it. */

import type { Command } from 'commander';

import { CONTROLLER_SETTINGS, readControllerSettings } from './cluster-settings.ts';
import type { CliContext } from './context.ts';
import { runCommand } from './run.ts';

const HELP = `
Runs in the cluster; the chart starts it. For development it runs outside of a cluster too, with a kubeconfig.
Set each setting with its flag, its variable or its key in the --config file. If several are set, the first of these wins.
On SIGTERM the controller hands leadership and its agents to another replica, then exits.

Examples:
  maesh controller --namespace maesh
  maesh controller --kubeconfig ~/.kube/config --mesh-default opt-in --dns-mode off
  MAESH_WATCH_NAMESPACE=shop,bank maesh controller`;

export function controllerCommand(context: CliContext): Command {
  const about = {
    name: 'controller',
    summary: 'run the controller of a cluster',
    description:
      'Compiles the Services of a cluster, maintains their shadow Services and the cluster DNS, and sends the configuration to agents.',
    help: HELP,
    settings: CONTROLLER_SETTINGS,
  };
  return runCommand(
    {
      ...about,
      async run(reader, { io, env }) {
        const settings = readControllerSettings(reader, env);
        const { runController } = await import('../run/controller/run-controller.ts');
        return await runController(settings, io, env);
      },
    },
    context,
  );
}
