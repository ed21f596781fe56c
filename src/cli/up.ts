/** `maesh up`: reads the settings and hands them to the agent. */

import type { Command } from 'commander';

import type { CliContext } from './context.ts';
import { runCommand } from './run.ts';
import { ALL_SETTINGS, readUpSettings } from './settings.ts';

const HELP = `
Set each setting with its flag, its variable or its key in the --config file. If several are set, the first of these wins.
Times have a unit (500ms, 5s, 3m, 1h). SIGTERM finishes running requests and exits. SIGHUP reads the manifests again and
reopens the access log.

Examples:
  maesh up -f examples/shop
  maesh up -f manifests/ more.yaml --domain maesh --dns 127.0.0.1:53
  maesh up --config maesh.yaml --threads 2 --access-log json
  MAESH_FILE=manifests maesh up`;

export function upCommand(context: CliContext): Command {
  const about = {
    name: 'up',
    summary: 'run the mesh on this machine, from manifests',
    description:
      'Runs the whole mesh on this machine, from Kubernetes manifests: proxy, DNS and admin API. Needs no cluster.',
    help: HELP,
    settings: ALL_SETTINGS,
  };
  return runCommand(
    {
      ...about,
      async run(reader, { io, env }) {
        const settings = readUpSettings(reader);
        const { runUp } = await import('../run/up/run-up.ts');
        return await runUp(settings, io, env['MAESH_COMMAND'] || 'maesh');
      },
    },
    context,
  );
}
