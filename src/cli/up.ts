/** `maesh up`: reads the settings and hands them to the agent. */

import { Command } from 'commander';

import type { CliContext } from './context.ts';
import { addSettings, givenFlags } from './options.ts';
import { CONFIG_VARIABLE, SettingReader, unknownVariables } from './setting-reader.ts';
import type { SettingsFile } from './settings-file.ts';
import { ALL_SETTINGS, readUpSettings } from './settings.ts';

const EXAMPLES = `
Each setting is given by its flag, its variable or its key in the file of --config, in this order of precedence;
times have a unit (500ms, 5s, 3m, 1h). SIGTERM drains and ends, SIGHUP reads the manifests again.

Examples:
  maesh up -f examples/shop
  maesh up -f manifests/ more.yaml --domain maesh --dns 127.0.0.1:53
  maesh up --config maesh.yaml --threads 2 --access-log json
  MAESH_FILE=manifests maesh up`;

export function upCommand(context: CliContext): Command {
  const command = new Command('up')
    .summary('run the mesh on this machine, from manifests')
    .description(
      'Runs the whole mesh on this machine, from Kubernetes manifests: proxy, DNS and admin API. Needs no cluster.',
    )
    .option(
      '--config <FILE>',
      'YAML or JSON file with settings, one key per setting (MAESH_CONFIG)',
    )
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      const path = configPath(command, context);
      const reader = new SettingReader({
        flags: givenFlags(command, ALL_SETTINGS),
        env: context.env,
        file: path === '' ? null : await readFile(path),
      });
      const settings = readUpSettings(reader);
      for (const notice of unknownVariables(context.env, ALL_SETTINGS))
        context.io.err(`maesh: ${notice}\n`);
      const { runUp } = await import('../standalone/run-up.ts');
      context.exit(await runUp(settings, context.io));
    });
  addSettings(command, ALL_SETTINGS, { manyPaths: true });
  return command;
}

function configPath(command: Command, context: CliContext): string {
  const flag: unknown = command.getOptionValue('config');
  return typeof flag === 'string' ? flag : (context.env[CONFIG_VARIABLE] ?? '');
}

/** The YAML parser is loaded only for this. */
async function readFile(path: string): Promise<SettingsFile> {
  const { readSettingsFile } = await import('./settings-file.ts');
  return readSettingsFile(path, ALL_SETTINGS);
}
