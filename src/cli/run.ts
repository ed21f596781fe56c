/** What the commands that run a part of the mesh have in common: settings from flags, variables and a file, then the run. */

import { Command } from 'commander';

import { forgoCoreDumps } from '../base/libc.ts';
import type { CliContext } from './context.ts';
import { addSettings, givenFlags } from './options.ts';
import { CONFIG_VARIABLE, SettingReader, unknownVariables } from './setting-reader.ts';
import type { SettingsFile } from './settings-file.ts';
import type { Setting } from './setting.ts';

interface RunCommand {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly help: string;
  readonly settings: readonly Setting<unknown>[];
  /** Checks the settings and runs until the end; the exit code. Throws MeshError `invalid_setting`. */
  run(reader: SettingReader, context: CliContext): Promise<number>;
}

export function runCommand(about: RunCommand, context: CliContext): Command {
  const { settings } = about;
  const command = new Command(about.name)
    .summary(about.summary)
    .description(about.description)
    .option(
      '--config <FILE>',
      'YAML or JSON file with settings, one key per setting (MAESH_CONFIG)',
    )
    .addHelpText('after', about.help)
    .action(async () => {
      const path = configPath(command, context);
      const reader = new SettingReader({
        flags: givenFlags(command, settings),
        env: context.env,
        file: path === '' ? null : await readFile(path, settings),
      });
      for (const notice of unknownVariables(context.env, settings))
        context.io.err(`maesh: ${notice}\n`);
      forgoCoreDumps();
      context.exit(await about.run(reader, context));
    });
  addSettings(command, settings, { manyPaths: true });
  return command;
}

function configPath(command: Command, context: CliContext): string {
  const flag: unknown = command.getOptionValue('config');
  return typeof flag === 'string' ? flag : (context.env[CONFIG_VARIABLE] ?? '');
}

/** The YAML parser is loaded only for this. */
async function readFile(
  path: string,
  settings: readonly Setting<unknown>[],
): Promise<SettingsFile> {
  const { readSettingsFile } = await import('./settings-file.ts');
  return readSettingsFile(path, settings);
}
