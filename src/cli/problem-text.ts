/** How every command prints a Problem: the same words, the same order, the same exit code. */

import { styleText } from 'node:util';

import { printable } from '../base/printable.ts';
import type { Problem } from '../model/service.ts';
import { EXIT_FAILURE, EXIT_OK } from './context.ts';

type Severity = Problem['severity'] | 'ok';

const STYLE = { ok: 'green', warning: 'yellow', error: 'red' } as const;
const SEVERITY_WIDTH = 'warning'.length;

/** The word for a severity, as wide as the widest. */
export function severityWord(severity: Severity, isColored: boolean): string {
  const word = severity.padEnd(SEVERITY_WIDTH);
  return isColored ? styleText(STYLE[severity], word, { validateStream: false }) : word;
}

/** `Service shop/web spec.type is "x": message`, then what to do. Texts of several lines stay several lines; nothing in them steers the terminal. */
export function problemLines(problem: Problem): readonly string[] {
  const { object, field, value, message, remedy } = problem;
  const what = field === '' ? '' : ` ${field}`;
  const found = value === '' ? '' : ` is "${value}"`;
  const head = `${printable(`${object}${what}${found}`)}: ${message}`;
  return [...linesOf(head), ...(remedy === '' ? [] : linesOf(remedy))];
}

/** The lines of a text from elsewhere, tabs as spaces. */
export function linesOf(text: string): readonly string[] {
  return text.split(/\r?\n/).map((line) => printable(line.replaceAll('\t', '    ')));
}

/** `2 errors, 1 warning`. */
export function tally(problems: readonly Pick<Problem, 'severity'>[]): string {
  const { errors, warnings } = countProblems(problems);
  return `${plural(errors, 'error')}, ${plural(warnings, 'warning')}`;
}

export function countProblems(problems: readonly Pick<Problem, 'severity'>[]): {
  readonly errors: number;
  readonly warnings: number;
} {
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  return { errors, warnings: problems.length - errors };
}

/** Errors make it 1; with `isStrict` warnings do so too. */
export function exitCodeOf(
  problems: readonly Pick<Problem, 'severity'>[],
  isStrict: boolean,
): number {
  const { errors, warnings } = countProblems(problems);
  return errors > 0 || (isStrict && warnings > 0) ? EXIT_FAILURE : EXIT_OK;
}

/** `1 Service`, `2 Services`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
