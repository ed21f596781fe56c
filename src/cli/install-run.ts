/** What `maesh install` and `maesh upgrade` do: values to objects, objects to the cluster, and wait. */

import { readFile } from 'node:fs/promises';

import { Option, type Command } from 'commander';

import { MeshError } from '../base/error.ts';
import { applyAll, prune, type Applied } from '../install/apply.ts';
import { Chart } from '../install/chart.ts';
import { listAll } from '../install/pages.ts';
import { lookForMesh, remember, type Present } from '../install/present.ts';
import { listAt, textAt, type Raw } from '../base/record.ts';
import { printable, printableJson } from '../base/printable.ts';
import { type Finding, isFlaw } from '../install/check/finding.ts';
import { toYaml } from '../install/template/functions.ts';
import { firstCall } from '../install/first-call.ts';
import { missingReplicas, troubles } from '../install/rollout.ts';
import { overlay, parseValues, setValues, type Values } from '../install/values.ts';
import { waitUntil } from '../install/wait.ts';
import { selectorOfPart } from '../model/names.ts';
import { checkUntil } from './cluster-check.ts';
import { EXIT_FAILURE, EXIT_OK, type CliContext } from './context.ts';
import { addCluster, namespaceOf, withCluster, type Cluster } from './install-options.ts';
import { problemLines } from './problem-text.ts';
import { duration } from './value.ts';

/** The newest that maesh is made for. */
const DEFAULT_KUBE_VERSION = 'v1.36.0';
const TIMEOUT = duration('1s', '1h');

export function addInstallOptions(command: Command): Command {
  command
    .option(
      '-f, --values <FILE>',
      'YAML file with values, or - for standard input; repeatable',
      collect,
    )
    .option('--set <KEY=VALUE>', 'one value, as for Helm; repeatable', collect)
    .addOption(
      new Option(
        '--dry-run <HOW>',
        'change nothing: client prints the objects without a cluster, server asks the cluster what would change',
      ).choices(['client', 'server']),
    )
    .addOption(
      new Option('-o, --output <FORMAT>', 'print the objects: yaml or json').choices([
        'yaml',
        'json',
      ]),
    )
    .option(
      '--kube-version <VERSION>',
      'version of Kubernetes to assume with --dry-run client',
      DEFAULT_KUBE_VERSION,
    )
    .option(
      '--wait',
      'wait until controller and agents are ready and callers are served; the default',
    )
    .option('--no-wait', 'do not wait until controller and agents are ready')
    .option('--timeout <TIME>', 'how long to wait, from 1s to 1h', '5m');
  return addCluster(command, '-n, --namespace');
}

interface Wish {
  readonly given: Values;
  readonly dryRun: 'client' | 'server' | '';
  /** '' prints no objects. */
  readonly format: 'yaml' | 'json' | '';
  readonly timeoutMs: number;
}

/** The exit code. */
export async function runInstall(
  command: Command,
  context: CliContext,
  isUpgrade: boolean,
): Promise<number> {
  const wish = await readWish(command);
  if (wish.dryRun === 'client') return printObjects(command, context, wish);
  return withCluster(command, context, async (cluster) => {
    const present = await lookForMesh(cluster.api, cluster.namespace);
    refuse(present, isUpgrade, cluster.namespace);
    const isReset = command.getOptionValue('resetValues') === true;
    const given = overlay(isReset ? {} : (present.values ?? {}), wish.given);
    const { objects, ...installed } = await apply(context, cluster, { given, present, wish });
    if (wish.format !== '') printAll(context, wish.format, objects);
    if (wish.dryRun !== '' || command.getOptionValue('wait') === false) return EXIT_OK;
    const { timeoutMs } = wish;
    return waitReady(context, cluster, { timeoutMs, isUpgrade, ...installed });
  });
}

function refuse({ values }: Present, isUpgrade: boolean, namespace: string): void {
  if (values === null && isUpgrade) {
    throw new MeshError(
      'not_found',
      `Cannot upgrade: there is no mesh in namespace "${namespace}"; run: maesh install`,
    );
  }
  if (values !== null && !isUpgrade) {
    throw new MeshError(
      'invalid_input',
      `Cannot install: there is a mesh in namespace "${namespace}" already; change it with: maesh upgrade`,
    );
  }
}

async function readWish(command: Command): Promise<Wish> {
  const {
    values = [],
    set = [],
    dryRun = '',
    output = '',
    timeout,
  } = command.opts<{
    values?: readonly string[];
    set?: readonly string[];
    dryRun?: Wish['dryRun'];
    output?: Wish['format'];
    timeout: string;
  }>();
  let given: Values = {};
  for (const path of values) given = overlay(given, parseValues(await readText(path), path));
  for (const text of set) given = setValues(given, text);
  const time = TIMEOUT.parse(timeout);
  if (!time.ok) {
    throw new MeshError('invalid_setting', `Cannot use "${timeout}" for --timeout: ${time.remedy}`);
  }
  return { given, dryRun, format: output, timeoutMs: time.value };
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path === '-' ? '/dev/stdin' : path, 'utf8');
  } catch (error) {
    const { message } = MeshError.from(error);
    throw new MeshError('invalid_setting', `Cannot read values from "${path}": ${message}`, error);
  }
}

async function printObjects(
  command: Command,
  context: CliContext,
  { given, format }: Wish,
): Promise<number> {
  const chart = await Chart.load();
  const namespace = namespaceOf(command, context);
  const values = chart.values(overlay({ namespace: { create: true } }, given));
  const kubeVersion = String(command.getOptionValue('kubeVersion'));
  const objects = remember(chart.objects(values, { namespace, kubeVersion }), given);
  printAll(context, format === '' ? 'yaml' : format, objects);
  return EXIT_OK;
}

/** One document for each object, or one List. */
function printAll({ io }: CliContext, format: 'yaml' | 'json', objects: readonly Raw[]): void {
  if (format === 'json') {
    io.out(`${printableJson({ apiVersion: 'v1', kind: 'List', items: objects })}\n`);
    return;
  }
  io.out(objects.map((object) => `${toYaml(object)}\n`).join('---\n'));
}

async function apply(
  context: CliContext,
  { api, namespace }: Cluster,
  what: { readonly given: Values; readonly present: Present; readonly wish: Wish },
): Promise<{
  readonly objects: readonly Raw[];
  readonly domain: string;
  readonly dnsMode: string;
  readonly isOptIn: boolean;
}> {
  const { given, present, wish } = what;
  const chart = await Chart.load();
  // Somebody's own namespace stays as it is.
  const own = present.hasNamespace ? {} : { namespace: { create: true } };
  const values = chart.values(overlay(own, given));
  const { kubeVersion } = present;
  const objects = remember(chart.objects(values, { namespace, kubeVersion }), given);
  const results: Raw[] = [];
  const say = (text: string): void =>
    wish.format === '' ? context.io.out(text) : context.io.err(text);
  const isDryRun = wish.dryRun === 'server';
  const options = {
    api,
    namespace,
    isDryRun,
    onApplied: (applied: Applied) => {
      if (applied.outcome !== 'deleted') results.push(applied.object);
      say(`${tellApplied(applied, isDryRun)}\n`);
    },
  };
  await applyAll(objects, options);
  if (present.values !== null) await prune(objects, options);
  return {
    objects: results,
    domain: String(listAt(values, 'mesh', 'domains')[0]),
    dnsMode: textAt(values, 'dns', 'mode'),
    isOptIn: textAt(values, 'mesh', 'default') === 'opt-in',
  };
}

function tellApplied({ name, outcome, changes }: Applied, isDryRun: boolean): string {
  const would = outcome === 'unchanged' || !isDryRun ? outcome : `would be ${outcome}`;
  const told =
    outcome === 'untried'
      ? 'would be created (not tested: its namespace does not exist yet)'
      : would;
  return [`${name} ${told}`, ...changes.map((change) => `    ${printable(change)}`)].join('\n');
}

interface WaitFor {
  readonly timeoutMs: number;
  readonly isUpgrade: boolean;
  readonly domain: string;
  readonly dnsMode: string;
  readonly isOptIn: boolean;
}

async function waitReady(
  { io }: CliContext,
  cluster: Cluster,
  { timeoutMs, isUpgrade, domain, dnsMode, isOptIn }: WaitFor,
): Promise<number> {
  const { api, clock, namespace } = cluster;
  const endMs = clock.nowMs() + timeoutMs;
  const seconds = timeoutMs / 1_000;
  const left = await waitUntil({
    clock,
    timeoutMs,
    missing: () => missingReplicas(api, namespace),
    tell: (missing) => io.err(`Waiting for ${missing}\n`),
  });
  if (left !== '') {
    const found = await troubles(api, namespace);
    const why = found === null ? '' : `: ${found.why}`;
    const see = found === null ? 'maesh check' : found.see;
    io.err(
      `maesh: Not ready after ${seconds} s: ${printable(`${left}${why}`)}; find the cause: ${see}\n`,
    );
    return EXIT_FAILURE;
  }
  const findings = await checkUntil(cluster, {
    timeoutMs: Math.max(1_000, endMs - clock.nowMs()),
    isWell: (all) => !all.some((finding) => isInTheWay(finding, dnsMode)),
    tell: (line) => io.err(`${printable(line)}\n`),
  });
  const [first] = findings.filter(isFlaw).filter((finding) => isInTheWay(finding, dnsMode));
  if (first !== undefined) {
    const [head = '', ...rest] = problemLines(first);
    io.err(`maesh: Callers are not served after ${seconds} s: ${[head, ...rest].join('\n  ')}\n`);
    return EXIT_FAILURE;
  }
  if (isUpgrade) {
    io.out('The mesh is up to date\n');
    return EXIT_OK;
  }
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/services`;
  const shadows = await listAll(api, path, { labelSelector: selectorOfPart('shadow') });
  io.out(firstCall(shadows, { namespace, domain, isOptIn }));
  return EXIT_OK;
}

/**
 * Whether a finding is of the installation, and goes away while it comes up. What is wrong with Services is not; the
 * cluster DNS waits for a person unless the controller writes it.
 */
function isInTheWay(finding: Finding, dnsMode: string): boolean {
  // Names that are on their way: whoever calls one now would not find it.
  if (finding.topic === 'names') return finding.severity !== 'ok';
  if (finding.severity !== 'error') return false;
  const isPath = isFlaw(finding) && finding.field === 'data path';
  if (finding.topic === 'problems' && !isPath) return false;
  const needsDns = finding.topic === 'cluster DNS' || isPath;
  return !needsDns || dnsMode === 'auto';
}

function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}
