/** Prints a judgement: which numbers, and why. */

import type { CheckLine } from './assess.ts';

/** Lines for a person; colour only when told. The last one is the verdict. */
export function reportLines(lines: readonly CheckLine[], color: boolean): string[] {
  const paint = (code: number, text: string): string =>
    color ? `\x1b[${code}m${text}\x1b[0m` : text;
  const shown = lines.flatMap((line) => [
    `${line.isGood ? paint(32, '  ok  ') : paint(31, ' FAIL ')} ${line.name}`,
    `         expected  ${line.expected}`,
    `         measured  ${line.measured}`,
    `         because   ${line.why}`,
  ]);
  const failed = lines.filter((line) => !line.isGood).length;
  const verdict =
    failed === 0
      ? paint(32, `All ${lines.length} checks hold`)
      : paint(31, `${failed} of ${lines.length} checks do not hold`);
  return [...shown, '', verdict];
}
