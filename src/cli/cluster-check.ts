/** `maesh check` without manifests: looks at a cluster and says what is wrong, and what to do. */

import type { Command } from 'commander';

import { MeshError } from '../base/error.ts';
import { printable, printableJson } from '../base/printable.ts';
import { type Finding, type Flaw, isFlaw, isUnknown } from '../install/check/finding.ts';
import { waitUntil } from '../install/wait.ts';
import { EXIT_OK, EXIT_UNKNOWN, type CliContext } from './context.ts';
import { withCluster, type Cluster } from './install-options.ts';
import { isJson } from './output.ts';
import { ALIKE_SHOWN, alikeLines, groupAlike } from './alike.ts';
import {
  countProblems,
  exitCodeOf,
  linesOf,
  problemLines,
  severityWord,
  tally,
} from './problem-text.ts';
import { wrapped } from './table.ts';
import { duration } from './value.ts';

const TIMEOUT = duration('1s', '1h');
/** Problems of one topic that are shown; `-o json` has all. */
const SHOWN_MAX = 20;
/** Of one object, so that one does not hide all others. */
const OBJECT_SHOWN_MAX = 5;

/** The exit code. With `--strict` warnings fail too. */
export async function checkClusterCommand(command: Command, context: CliContext): Promise<number> {
  const timeoutMs = command.getOptionValue('wait') === true ? timeoutOf(command) : 0;
  const findings = await withCluster(command, context, (cluster) =>
    checkUntil(cluster, {
      timeoutMs,
      isWell: (found) => exitCodeOf(found.filter(isFlaw), isStrict(command)) === EXIT_OK,
      tell: (line) => context.io.err(`${printable(line)}\n`),
    }),
  );
  return printFindings(findings, command, context);
}

interface CheckOptions {
  /** 0 looks once. */
  readonly timeoutMs: number;
  readonly isWell: (findings: readonly Finding[]) => boolean;
  /** A line for each time that what is waited for changes. */
  readonly tell: (line: string) => void;
}

/** Looks until all is well, or the time is over: what was found last. An API server that is away meanwhile is waited for. */
export async function checkUntil(
  cluster: Cluster,
  { timeoutMs, isWell, tell }: CheckOptions,
): Promise<readonly Finding[]> {
  const [{ gather }, { checkCluster }, { missingRights }] = await Promise.all([
    import('../install/facts/gather.ts'),
    import('../install/check/check.ts'),
    import('../install/facts/rights.ts'),
  ]);
  let last: readonly Finding[] = [];
  const look = async (): Promise<string> => {
    const facts = await gather(cluster);
    last = checkCluster(facts, await missingRights(cluster.api, facts));
    if (isWell(last)) return '';
    const flaws = last.filter(isFlaw);
    const [first] = flaws.toSorted((a, b) => rank(a) - rank(b));
    return `Waiting: ${tally(flaws)}: ${first === undefined ? '' : problemLines(first)[0]}`;
  };
  let isAway = false;
  await waitUntil({
    clock: cluster.clock,
    timeoutMs,
    tell,
    missing: async () => {
      try {
        isAway = false;
        return await look();
      } catch (error) {
        if (timeoutMs === 0) throw error;
        isAway = true;
        return `Waiting: ${MeshError.from(error).message}`;
      }
    },
  });
  // What was seen before it went away is not how it is.
  if (isAway) await look();
  return last;
}

function rank({ severity }: Finding): number {
  return severity === 'error' ? 0 : 1;
}

function isStrict(command: Command): boolean {
  return command.getOptionValue('strict') === true;
}

function timeoutOf(command: Command): number {
  const text = String(command.getOptionValue('timeout'));
  const parsed = TIMEOUT.parse(text);
  if (parsed.ok) return parsed.value;
  throw new MeshError('invalid_setting', `Cannot use "${text}" for --timeout: ${parsed.remedy}`);
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
    context.io.out(`${printableJson({ ...countProblems(problems), problems, checks })}\n`);
  } else {
    context.io.out(`${textOf(findings, context.isColored)}\n`);
  }
  const code = exitCodeOf(problems, isStrict(command));
  return code === EXIT_OK && problems.some(isUnknown) ? EXIT_UNKNOWN : code;
}

/** A line for each finding, what to do below it, and the sum. What is alike of many objects is one finding. */
export function textOf(findings: readonly Finding[], isColored: boolean): string {
  const width = Math.max(...findings.map(({ topic }) => topic.length));
  const problems = findings.filter(isFlaw);
  const groups = groupAlike(problems);
  const shown = new Map<string, number>();
  let hidden = 0;
  let isCut = false;
  /** Whether there is room for one more of this name; counts it. */
  const fits = (name: string, most: number): boolean => {
    const nth = (shown.get(name) ?? 0) + 1;
    shown.set(name, nth);
    return nth <= most;
  };
  const isShown = ({ topic, object }: Flaw, count: number): boolean =>
    (count > 1 || object === '' || fits(`${topic} ${object}`, OBJECT_SHOWN_MAX)) &&
    fits(topic, SHOWN_MAX);
  const lines = findings.flatMap((finding) => {
    const { severity, topic } = finding;
    const alike = isFlaw(finding) ? groups.get(finding) : [];
    // Told with the first one of its kind.
    if (alike === undefined) return [];
    if (isFlaw(finding) && !isShown(finding, alike.length)) {
      hidden += alike.length;
      return [];
    }
    isCut ||= alike.length > ALIKE_SHOWN;
    const texts = isFlaw(finding) ? alikeLines(alike) : linesOf(finding.message);
    const margin = ' '.repeat(severityWord(severity, false).length + width + 4);
    const [first = '', ...rest] = texts.flatMap((line) => wrapped(line, margin));
    const head = `${severityWord(severity, isColored)}  ${printable(topic).padEnd(width)}  `;
    return [head + first.slice(margin.length), ...rest];
  });
  const more = hidden > 0 ? `and ${hidden} more` : isCut ? 'all of them' : '';
  return [
    ...lines,
    ...(more === '' ? [] : [`${more}: maesh check -o json`]),
    '',
    problems.length === 0 ? 'No problems found' : tally(problems),
  ].join('\n');
}
