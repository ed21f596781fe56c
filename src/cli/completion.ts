/** `maesh completion`: what a shell completes, written from the commands and options that there are. */

import { Argument, Command } from 'commander';

import type { CommandEntry } from './command-entry.ts';
import type { CliContext } from './context.ts';
import { renderCompletion, SHELLS, type Completed, type Shell } from './completion-script.ts';

const EXAMPLES = `
Examples:
  maesh completion bash > ~/.local/share/bash-completion/completions/maesh
  maesh completion zsh > "\${fpath[1]}/_maesh"
  maesh completion fish > ~/.config/fish/completions/maesh.fish`;

export function completionCommand(context: CliContext, commands: readonly CommandEntry[]): Command {
  return new Command('completion')
    .summary('print completions for bash, zsh or fish')
    .description('Prints a shell script that completes commands, options and their values.')
    .addArgument(new Argument('<shell>', 'shell to print the script for').choices(SHELLS))
    .addHelpText('after', EXAMPLES)
    .action(async (shell: Shell) => {
      context.io.out(renderCompletion(shell, await completedOf(context, commands)));
    });
}

function completedOf(
  context: CliContext,
  commands: readonly CommandEntry[],
): Promise<readonly Completed[]> {
  return Promise.all(
    commands.map(async (entry) => {
      const { name, summary } = entry;
      const command = (await entry.load())(context);
      const options = command.options
        .filter(({ hidden }) => !hidden)
        .map(({ short, long, description, required, argChoices }) => ({
          names: [short, long].filter((each) => each !== undefined),
          text: description.split(/[:;(]/)[0]?.trim() ?? '',
          takesValue: required,
          choices: argChoices ?? [],
        }));
      const words = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
      return { name, summary, options, words };
    }),
  );
}
