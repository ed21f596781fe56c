/** `maesh controller`: the control plane, as the chart runs it. */

import type { Command } from 'commander';

import { CONTROLLER_SETTINGS, readControllerSettings } from './cluster-settings.ts';
import type { CliContext } from './context.ts';
import { runCommand } from './run.ts';

const HELP = `
Runs in the cluster; the chart starts it. Outside of one it takes a kubeconfig and does the same, for development.
Each setting is given by its flag, its variable or its key in the file of --config, in this order of precedence.
SIGTERM hands the lead to another replica, sends the agents there and ends.

Examples:
  maesh controller --namespace maesh
  maesh controller --kubeconfig ~/.kube/config --mesh-default opt-in --dns-mode off
  MAESH_WATCH_NAMESPACE=shop,bank maesh controller`;

export function controllerCommand(context: CliContext): Command {
  const about = {
    name: 'controller',
    summary: 'run the controller of a cluster',
    description:
      'Compiles the Services of a cluster, keeps their shadow Services and the cluster DNS, and serves the agents.',
    help: HELP,
    settings: CONTROLLER_SETTINGS,
  };
  return runCommand(
    {
      ...about,
      async run(reader, { io, env }) {
        const settings = readControllerSettings(reader, env);
        const { runController } = await import('../controller/run-controller.ts');
        return await runController(settings, io, env);
      },
    },
    context,
  );
}
