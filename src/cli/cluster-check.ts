/** `maesh check` without manifests: looks at a cluster and says what is wrong, and what to do. */

import { styleText } from 'node:util';

import type { Command } from 'commander';

import type { Finding } from '../install/check/finding.ts';
import { EXIT_FAILURE, EXIT_OK, type CliContext } from './context.ts';
import { withCluster } from './install-options.ts';
import { isJson, printable } from './output.ts';

const STYLE = { ok: 'green', warn: 'yellow', fail: 'red' } as const;
const LEVEL_WIDTH = 4;

/** The exit code. `isStrict`: warnings fail too. */
export async function checkClusterCommand(command: Command, context: CliContext): Promise<number> {
  const [{ gather }, { checkCluster }, { missingRights }] = await Promise.all([
    import('../install/facts/gather.ts'),
    import('../install/check/check.ts'),
    import('../install/facts/rights.ts'),
  ]);
  const findings = await withCluster(command, context, async (cluster) => {
    const facts = await gather(cluster);
    const rights = await missingRights(cluster.api, facts);
    return checkCluster(facts, rights);
  });
  const total = (level: Finding['level']): number =>
    findings.filter((finding) => finding.level === level).length;
  const [fails, warns] = [total('fail'), total('warn')];
  if (isJson(command)) {
    context.io.out(`${JSON.stringify({ fail: fails, warn: warns, findings })}\n`);
  } else {
    context.io.out(`${textOf(findings, context.isColored)}\n`);
  }
  const isStrict = command.getOptionValue('strict') === true;
  return fails > 0 || (isStrict && warns > 0) ? EXIT_FAILURE : EXIT_OK;
}

/** A line for each finding, one below it for what to do, and the sum. */
export function textOf(findings: readonly Finding[], isColored: boolean): string {
  const width = Math.max(...findings.map(({ what }) => what.length));
  const margin = ' '.repeat(LEVEL_WIDTH + width + 4);
  const lines = findings.flatMap(({ level, what, message, remedy }) => {
    const word = level.padEnd(LEVEL_WIDTH);
    const shown = isColored ? styleText(STYLE[level], word, { validateStream: false }) : word;
    const line = `${shown}  ${what.padEnd(width)}  ${printable(message)}`;
    return remedy === '' ? [line] : [line, `${margin}${printable(remedy)}`];
  });
  const of = (level: Finding['level']): number =>
    findings.filter((finding) => finding.level === level).length;
  const sum =
    of('fail') + of('warn') === 0
      ? 'All is well'
      : `${of('fail')} to repair, ${of('warn')} to know of`;
  return [...lines, '', sum].join('\n');
}
