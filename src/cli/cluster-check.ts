/** `maesh check` without manifests: looks at a cluster and says what is wrong, and what to do. */

import type { Command } from 'commander';

import { type Finding, isFlaw, isUnknown } from '../install/check/finding.ts';
import { EXIT_OK, EXIT_UNKNOWN, type CliContext } from './context.ts';
import { withCluster } from './install-options.ts';
import { isJson, printable } from './output.ts';
import {
  countProblems,
  exitCodeOf,
  linesOf,
  problemLines,
  severityWord,
  tally,
} from './problem-text.ts';

/** Problems of one topic that are shown; `-o json` has all. */
const SHOWN_MAX = 20;

/** The exit code. With `--strict` warnings fail too. */
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
  return printFindings(findings, command, context);
}

/** Prints them as `-o` says. The exit code. */
export function printFindings(
  findings: readonly Finding[],
  command: Command,
  context: CliContext,
): number {
  const problems = findings.filter(isFlaw);
  if (isJson(command)) {
    const checks = findings.filter((finding) => !isFlaw(finding));
    context.io.out(`${JSON.stringify({ ...countProblems(problems), problems, checks })}\n`);
  } else {
    context.io.out(`${textOf(findings, context.isColored)}\n`);
  }
  const code = exitCodeOf(problems, command.getOptionValue('strict') === true);
  return code === EXIT_OK && problems.some(isUnknown) ? EXIT_UNKNOWN : code;
}

/** A line for each finding, what to do below it, and the sum. */
export function textOf(findings: readonly Finding[], isColored: boolean): string {
  const width = Math.max(...findings.map(({ topic }) => topic.length));
  const shown = new Map<string, number>();
  const lines = findings.flatMap((finding) => {
    const { severity, topic } = finding;
    const nth = (shown.get(topic) ?? 0) + 1;
    shown.set(topic, nth);
    if (nth > SHOWN_MAX) return [];
    const [first = '', ...rest] = isFlaw(finding)
      ? problemLines(finding)
      : linesOf(finding.message);
    const margin = ' '.repeat(severityWord(severity, false).length + width + 4);
    return [
      `${severityWord(severity, isColored)}  ${printable(topic).padEnd(width)}  ${first}`,
      ...rest.map((line) => `${margin}${line}`),
    ];
  });
  const hidden = [...shown.values()].reduce((sum, all) => sum + Math.max(0, all - SHOWN_MAX), 0);
  const more = hidden === 0 ? [] : [`and ${hidden} more: maesh check -o json`];
  const problems = findings.filter(isFlaw);
  return [...lines, ...more, '', problems.length === 0 ? 'All is well' : tally(problems)].join(
    '\n',
  );
}
