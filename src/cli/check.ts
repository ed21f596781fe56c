/** `maesh check`: the problems of a cluster or in manifests, for people and for CI. */

import { Command } from 'commander';

import { MeshError } from '../base/error.ts';
import { printable, printableJson } from '../base/printable.ts';
import type { Problem } from '../model/service.ts';
import { commonOf, groupAlike, nameOf, remedyLines } from './alike.ts';
import type { CliContext } from './context.ts';
import { loadManifests } from './load.ts';
import { addCluster, withoutCluster } from './install-options.ts';
import { addSettings, givenFlags } from './options.ts';
import { addOutput, isJson } from './output.ts';
import { countProblems, exitCodeOf, linesOf, plural, severityWord, tally } from './problem-text.ts';
import { SettingReader } from './setting-reader.ts';
import { FILES_TO_READ, SETTINGS } from './settings.ts';

const EXAMPLES = `
Exit codes: 0 no errors, 1 errors, with --strict also warnings, 3 no known errors, but some parts could not be checked.

Examples:
  maesh check
  maesh check --context staging -o json | jq '.problems[] | select(.severity == "error")'
  maesh check --wait
  maesh check --pre
  maesh check -f examples/shop
  maesh check -f manifests/*.yaml --strict
  helm template my-chart | maesh check -f -
  maesh check -f manifests -o json | jq '.problems[] | select(.severity == "error")'`;

/** Places of one problem that many objects have; `-o json` has all. */
const PLACES_SHOWN = 10;

const CHECK_SETTINGS = [FILES_TO_READ, SETTINGS.serviceCidr, SETTINGS.pods, SETTINGS.defaultMode];

export function checkCommand(context: CliContext): Command {
  const command = new Command('check')
    .summary('list the problems in a cluster or in manifests')
    .description(
      'Checks the mesh of a cluster and lists each problem with its remedy. With -f it reads manifests instead, as "maesh up" does, or those of standard input with -f -. Changes nothing.',
    )
    .option('--strict', 'fail on warnings too')
    .option('--wait', 'repeat until there are no errors or the time is up')
    .option('--timeout <TIME>', 'how long to wait, from 1s to 1h', '2m')
    .option('--pre', 'check whether the mesh can be installed, and what that would change')
    .option('--cluster', 'check the cluster, even if MAESH_FILE is set')
    .addHelpText('after', EXAMPLES)
    .action(async () => context.exit(await check(command, context)));
  addSettings(command, CHECK_SETTINGS, { manyPaths: true });
  return addOutput(addCluster(command, '--mesh-namespace'));
}

async function check(command: Command, context: CliContext): Promise<number> {
  const flag = ['cluster', 'pre', 'wait'].find((name) => command.getOptionValue(name) === true);
  const isNamed = flag !== undefined;
  if (isNamed && command.getOptionValue(SETTINGS.files.name) !== undefined) {
    throw new MeshError('invalid_setting', `Cannot use --${flag} with -f: give one of them`);
  }
  const flags = givenFlags(command, CHECK_SETTINGS);
  const reader = new SettingReader({ flags, env: context.env, file: null });
  const options = {
    paths: reader.list(SETTINGS.files),
    serviceCidr: reader.one(SETTINGS.serviceCidr),
    podCidr: reader.one(SETTINGS.pods),
    defaultMode: reader.one(SETTINGS.defaultMode),
  };
  if (reader.errors.length > 0) throw new MeshError('invalid_setting', reader.errors.join('\n'));
  if (isNamed || options.paths.length === 0) return checkCluster(command, context);
  const { problems, notices, snapshot } = await loadManifests(options);
  const services = snapshot.services.size;
  if (isJson(command)) {
    const counts = countProblems(problems);
    context.io.out(`${printableJson({ ...counts, services, notices, problems })}\n`);
  } else {
    for (const notice of notices) context.io.err(`${printable(notice)}\n`);
    for (const block of blocksOf(problems, context.isColored)) context.io.out(`${block}\n\n`);
    context.io.out(`${summaryOf(problems, services)}\n`);
  }
  return exitCodeOf(problems, command.getOptionValue('strict') === true);
}

/** What a cluster needs is loaded only for this. */
async function checkCluster(command: Command, context: CliContext): Promise<number> {
  try {
    if (command.getOptionValue('pre') === true) {
      const { preCheckCommand } = await import('./pre-check.ts');
      return await preCheckCommand(command, context);
    }
    const { checkClusterCommand } = await import('./cluster-check.ts');
    return await checkClusterCommand(command, context);
  } catch (error) {
    throw withoutCluster(error, 'or manifests with -f PATH');
  }
}

/** One block per object, in order of first appearance; of what is alike in many objects, one for them all. */
function blocksOf(problems: readonly Problem[], isColored: boolean): readonly string[] {
  const blocks: string[][] = [];
  const byObject = new Map<string, string[]>();
  for (const [problem, alike] of groupAlike(problems)) {
    if (alike.length > 1) {
      blocks.push([...alikeBlock(alike, isColored)]);
      continue;
    }
    let lines = byObject.get(problem.object);
    if (lines === undefined) {
      lines = [printable(problem.object)];
      byObject.set(problem.object, lines);
      blocks.push(lines);
    }
    lines.push(...blockLines(problem, isColored));
  }
  return blocks.map((lines) => lines.join('\n'));
}

function blockLines(problem: Problem, isColored: boolean): readonly string[] {
  const { message, remedy } = problem;
  const below = [...linesOf(message), ...(remedy === '' ? [] : linesOf(remedy))];
  return [blockHead(problem, isColored), ...below.map((line) => `    ${line}`)];
}

function blockHead(problem: Omit<Problem, 'object' | 'ref'>, isColored: boolean): string {
  const { severity, field, location } = problem;
  const place = location === '' ? '' : ` at ${location}`;
  const what = field === '' ? '' : `: ${field}`;
  return `  ${severityWord(severity, isColored).trimEnd()}${printable(`${place}${what}${foundIn(problem)}`)}`;
}

function foundIn({ value }: Pick<Problem, 'value'>): string {
  return value === '' ? '' : ` is "${value}"`;
}

/** Each of them with its place, and its value where they differ. */
function alikeBlock(alike: readonly Problem[], isColored: boolean): readonly string[] {
  const [first] = alike;
  if (first === undefined) return [];
  const { object, value } = commonOf(alike);
  const each = alike.slice(0, PLACES_SHOWN).map((problem) => {
    const place = problem.location === '' ? '' : ` at ${problem.location}`;
    return printable(`${nameOf(problem)}${place}${value === '' ? foundIn(problem) : ''}`);
  });
  const left = alike.length - each.length;
  const more = left > 0 ? [`and ${left} more: -o json has all`] : [];
  const below = [...linesOf(first.message), ...remedyLines(alike), ...each, ...more];
  return [
    object,
    blockHead({ ...first, value, location: '' }, isColored),
    ...below.map((line) => `    ${line}`),
  ];
}

function summaryOf(problems: readonly Problem[], services: number): string {
  const scope = plural(services, 'Service');
  return problems.length === 0 ? `No problems in ${scope}` : `${tally(problems)} in ${scope}`;
}
