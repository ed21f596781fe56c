/** The command line: finds the command, loads only its code, and turns what goes wrong into a sentence and an exit code. */

import { Command, CommanderError } from 'commander';

import { MeshError } from '../base/error.ts';
import { COMMANDS } from './commands.ts';
import { EXIT_FAILURE, EXIT_OK, EXIT_USAGE, processContext, type CliContext } from './context.ts';

const EPILOGUE = `
Start here, in a checkout:
  npm start                                     a shop with the mesh in front of it, to watch and to break
  maesh up -f examples/first                    one Service; examples/first/README.md starts its servers
  maesh curl http://hello.default.maesh:8080/   call it

Exit codes: 0 success, 1 failure or problems found, 2 wrong usage, 3 some parts could not be checked.
Run "maesh COMMAND --help" for the options of a command, and "maesh -v" for the version.`;

async function main(context: CliContext, words: readonly string[]): Promise<void> {
  const program = new Command('maesh')
    .description('A service mesh without sidecars: one proxy per node, opt-in by name.')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText('after', EPILOGUE)
    .configureOutput({
      writeOut: (text) => context.io.out(text),
      writeErr: (text) => context.io.err(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'maesh: ')),
    })
    .showSuggestionAfterError()
    .showHelpAfterError('Run it with --help for its options.')
    .enablePositionalOptions()
    .exitOverride();
  const [first = '', second = ''] = words;
  const isVersion = first === '--version' || first === '-V' || first === '-v';
  const wanted = first === 'help' ? second : isVersion ? 'version' : first;
  for (const entry of COMMANDS) {
    if (entry.name === wanted) program.addCommand(adopt(program, (await entry.load())(context)));
    else program.command(entry.name).description(entry.summary);
  }
  const args = wanted === 'version' && first !== 'help' ? ['version', ...words.slice(1)] : words;
  await program.parseAsync(args, { from: 'user' });
}

/** `addCommand` does not hand on what `command` does. */
function adopt(program: Command, command: Command): Command {
  command.copyInheritedSettings(program).helpOption('-h, --help', 'show this help');
  const takesPaths = command.options.some(({ long }) => long === '--file');
  const takesWords = command.registeredArguments.length > 0;
  if (!takesPaths || takesWords) return command;
  // `maesh check web.yaml` is what everybody tries first.
  return command.allowExcessArguments().hook('preAction', () => {
    if (command.args.length === 0) return;
    const given = command.args.join(' ');
    command.error(`maesh: Cannot use "${given}": paths come after -f, as in -f ${given}`);
  });
}

/** Exit code for anything thrown; what a person must know has been written then. */
function report(context: CliContext, thrown: unknown): number {
  if (thrown instanceof CommanderError) {
    return thrown.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  }
  if (thrown instanceof MeshError) {
    for (const line of thrown.message.split('\n')) context.io.err(`maesh: ${line}\n`);
    return thrown.code === 'invalid_setting' ? EXIT_USAGE : EXIT_FAILURE;
  }
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  context.io.err(`maesh: This is a bug in maesh, please report it: ${stack}\n`);
  return EXIT_FAILURE;
}

const context = processContext();
try {
  await main(context, process.argv.slice(2));
} catch (thrown) {
  context.exit(report(context, thrown));
}
