/** What the command lines of the tools for tests and of the benchmarks have in common. */

/** Fails with a sentence for the user. */
export function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,15}$/u.test(text)) throw new Error(`--${name} must be a whole number, not "${text}"`);
  return Number(text);
}

/**
 * What the tool is asked to do. Prints the usage text and ends the process when that is asked, and with a sentence and exit code 2
 * when the command line is not understood.
 */
export function commandLine<T>(help: string, read: (args: readonly string[]) => T | 'help'): T {
  const options = understood(read);
  if (options !== 'help') return options;
  process.stdout.write(help);
  return process.exit(0);
}

function understood<T>(read: (args: readonly string[]) => T): T {
  try {
    return read(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${sentence(error)}\nThe options are listed by --help\n`);
    return process.exit(2);
  }
}

/** Node adds advice about arguments that begin with a dash, which is about no argument of ours. */
function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\. To specify a positional argument.*$/u, '');
}
