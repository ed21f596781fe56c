/** `maesh agent`: the proxy and the names of one node, as the chart runs it. */

import type { Command } from 'commander';

import { AGENT_SETTINGS, readNodeSettings } from './cluster-settings.ts';
import type { CliContext } from './context.ts';
import { runCommand } from './run.ts';

const HELP = `
Runs on each node of a cluster; the chart starts it. Without a controller it keeps its last configuration, also after a
restart (--state-dir). Set each setting with its flag, its variable or its key in the --config file. If several are set,
the first of these wins. On SIGTERM the agent becomes unready, accepts new connections for --drain-delay more, then waits
for running requests for at most --drain-timeout.

Examples:
  maesh agent --controller maesh-controller.maesh.svc:9443
  MAESH_DNS='[::]:5353' MAESH_THREADS=2 maesh agent`;

export function agentCommand(context: CliContext): Command {
  const about = {
    name: 'agent',
    summary: 'run the agent of a node',
    description:
      'Proxies the traffic of one node and resolves mesh names, as the controller configures it.',
    help: HELP,
    settings: AGENT_SETTINGS,
  };
  return runCommand(
    {
      ...about,
      async run(reader, { io, env }) {
        const settings = readNodeSettings(reader, env);
        const { runAgent } = await import('../run/agent/run-agent.ts');
        return await runAgent(settings, io, env);
      },
    },
    context,
  );
}
