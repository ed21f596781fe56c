/** `maesh uninstall`: takes the mesh out of a cluster without a trace. */

import { Resolver } from 'node:dns/promises';
import { createInterface } from 'node:readline/promises';

import { Command, Option } from 'commander';

import { MeshError } from '../base/error.ts';
import { createLog } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import type { SoaResolver } from '../monitor/dns/probe.ts';
import { findController, takeBack, uninstall } from '../install/uninstall.ts';
import { containerEnv, helmRelease } from '../install/facts/workload.ts';
import { type Raw } from '../base/record.ts';
import { printable } from '../base/printable.ts';
import { EXIT_FAILURE, EXIT_OK, type CliContext } from './context.ts';
import { addCluster, withCluster, type Cluster } from './install-options.ts';
import { leaveFor, leaveSeen } from './uninstall-leave.ts';
import { duration } from './value.ts';

const EXAMPLES = `
First the mesh domains are removed from the cluster DNS. Then callers get time to leave. Then everything else is deleted. If
you installed with Helm, uninstall with Helm, which runs this command with --from-hook.

Examples:
  maesh uninstall
  maesh uninstall --yes --delete-namespace
  kubectl maesh uninstall --context staging --leave 1m`;

const LEAVE = duration('0s', '10m');
const TIMEOUT = duration('1s', '1h');
const ASK_TIMEOUT_MS = 1_000;

export function uninstallCommand(context: CliContext): Command {
  const command = new Command('uninstall')
    .summary('uninstall the mesh from a cluster')
    .description(
      'Uninstalls the mesh: first its domains in the cluster DNS, then shadow Services, then everything else.',
    )
    .option('-y, --yes', 'do not ask')
    .option('--delete-namespace', 'delete the namespace of the mesh too, with everything in it')
    .option('--leave <TIME>', 'how long to wait for callers to leave, from 0s to 10m', '150s')
    .option('--timeout <TIME>', 'how long to wait for Pods to end, from 1s to 1h', '3m')
    .addOption(
      new Option(
        '--dns-mode <MODE>',
        'whether to restore the cluster DNS; default as installed (MAESH_DNS_MODE)',
      ).choices(['auto', 'manual', 'off']),
    )
    .option('--from-hook', 'only remove what Helm does not know about; for the hook of the chart')
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      context.exit(
        await withCluster(command, context, (cluster) => run(command, context, cluster)),
      );
    });
  return addCluster(command, '-n, --namespace');
}

async function run(command: Command, context: CliContext, given: Cluster): Promise<number> {
  const { io, env } = context;
  const isHook = command.getOptionValue('fromHook') === true;
  const cluster = isHook ? ownCluster(command, context, given) : given;
  const { api, clock, namespace } = cluster;
  const leaveMs = timeOf(command, 'leave', LEAVE);
  const timeoutMs = timeOf(command, 'timeout', TIMEOUT);
  const controller = await findController(api, namespace);
  if (!isHook) {
    refuseHelm(controller, namespace);
    if (!(await confirm(command, context, cluster))) return EXIT_FAILURE;
  }
  const { dnsMode, domains } = installedDns(command, env, controller);
  const tell = (line: string): void => io.out(`${printable(line)}\n`);
  const options = {
    api,
    clock,
    namespace,
    tell,
    restoreDns: dnsMode === 'auto' ? () => restoreDns(cluster, domains) : null,
    leave: () =>
      isHook ? leaveSeen({ clock, domains, tell, resolver }) : leaveFor({ clock, tell }, leaveMs),
  };
  if (isHook) {
    await takeBack(options);
  } else {
    const deleteNamespace = command.getOptionValue('deleteNamespace') === true;
    await uninstall({ ...options, timeoutMs, deleteNamespace });
  }
  tell('Uninstalled');
  return EXIT_OK;
}

/** The hook runs in the namespace of its release. */
function ownCluster(command: Command, { env }: CliContext, given: Cluster): Cluster {
  const own = env['POD_NAMESPACE'] ?? '';
  const isNamed = typeof command.getOptionValue('namespace') === 'string';
  return isNamed || own === '' ? given : { ...given, namespace: own };
}

function refuseHelm(controller: Raw | null, namespace: string): void {
  const release = controller === null ? '' : helmRelease(controller);
  if (release === '') return;
  throw new MeshError(
    'invalid_input',
    `Cannot uninstall: Helm manages this mesh; run: helm uninstall ${release} -n ${namespace}`,
  );
}

/** What the flag says, else what the variables of this process say, else what was installed. */
function installedDns(
  command: Command,
  env: CliContext['env'],
  controller: Raw | null,
): { readonly dnsMode: string; readonly domains: readonly string[] } {
  const installed = containerEnv(controller);
  const settingOf = (name: string, byDefault: string): string =>
    (env[name] ?? '') || (installed.get(name) ?? byDefault);
  const flag: unknown = command.getOptionValue('dnsMode');
  return {
    dnsMode: typeof flag === 'string' ? flag : settingOf('MAESH_DNS_MODE', 'auto'),
    domains: settingOf('MAESH_DOMAIN', 'maesh,traefik.mesh').split(','),
  };
}

async function confirm(
  command: Command,
  { io }: CliContext,
  { api, namespace }: Cluster,
): Promise<boolean> {
  if (command.getOptionValue('yes') === true) return true;
  if (!process.stdin.isTTY) {
    throw new MeshError(
      'invalid_setting',
      'Cannot ask whether to uninstall: standard input is not a terminal; add --yes',
    );
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const question = `Uninstall the mesh in namespace "${namespace}" from ${api.server}? Mesh names will no longer resolve. [y/N] `;
  const answer = await terminal.question(question).finally(() => terminal.close());
  if (/^y(es)?$/i.test(answer.trim())) return true;
  io.err('Nothing was done\n');
  return false;
}

async function restoreDns(cluster: Cluster, domains: readonly string[]): Promise<void> {
  const { ClusterDnsController } = await import('../cluster-dns/cluster-dns-controller.ts');
  const controller = new ClusterDnsController({
    api: cluster.api,
    clock: cluster.clock,
    random: systemRandom,
    log: createLog({ level: 'warn', format: 'common', clock: cluster.clock }),
    mode: 'auto',
    domains,
    meshNamespace: cluster.namespace,
    addressesOf: () => [],
  });
  await controller.restore({ isLast: true });
}

/** A new one asks from a new port, and so perhaps another replica of the cluster DNS. */
function resolver(): SoaResolver {
  return new Resolver({ timeout: ASK_TIMEOUT_MS, tries: 1 });
}

function timeOf(command: Command, name: string, kind: typeof LEAVE): number {
  const text = String(command.getOptionValue(name));
  const parsed = kind.parse(text);
  if (parsed.ok) return parsed.value;
  throw new MeshError('invalid_setting', `Cannot use "${text}" for --${name}: ${parsed.remedy}`);
}
