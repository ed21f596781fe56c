/** What the commands for a cluster have in common: how to reach it, and where the mesh is. */

import { Option, type Command } from 'commander';

import { systemClock, type Clock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { KubeClient } from '../kube/api/client.ts';
import type { CliContext } from './context.ts';

/** Whom to ask, and where the mesh is. */
export interface Cluster {
  readonly api: KubeClient;
  readonly clock: Clock;
  /** The mesh namespace. */
  readonly namespace: string;
}

const DEFAULT_NAMESPACE = 'maesh';

/** `namespaceFlag` is what names the mesh namespace: where `-n` means another one, it has a longer name. */
export function addCluster(
  command: Command,
  namespaceFlag: '-n, --namespace' | '--mesh-namespace',
): Command {
  return command
    .option(
      '--kubeconfig <FILE>',
      'kubeconfig of the cluster; default as for kubectl (MAESH_KUBECONFIG)',
    )
    .option('--context <NAME>', 'context of the kubeconfig (MAESH_CONTEXT)')
    .addOption(
      new Option(
        `${namespaceFlag} <NAMESPACE>`,
        `namespace of the mesh (MAESH_NAMESPACE, default ${DEFAULT_NAMESPACE})`,
      ),
    );
}

/**
 * Runs with a client of the cluster, which is closed afterwards; the process stays alive until then, whatever timers say.
 * @throws MeshError when the cluster cannot be found.
 */
export async function withCluster<T>(
  command: Command,
  context: CliContext,
  run: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const { env } = context;
  const given = (name: string, variable: string): string => optionOf(command, name, env[variable]);
  const [{ loadConnection }, { KubeClient }] = await Promise.all([
    import('../kube/api/connection.ts'),
    import('../kube/api/client.ts'),
  ]);
  const kubeconfig = given('kubeconfig', 'MAESH_KUBECONFIG');
  const contextName = given('context', 'MAESH_CONTEXT');
  const connection = await loadConnection({
    env,
    clock: systemClock,
    ...(kubeconfig === '' ? {} : { kubeconfig }),
    ...(contextName === '' ? {} : { context: contextName }),
  });
  const api = new KubeClient(connection, { clock: systemClock });
  const hold = new MessageChannel();
  hold.port1.on('message', () => undefined);
  try {
    return await run({ api, clock: systemClock, namespace: namespaceOf(command, context) });
  } finally {
    hold.port1.close();
    api.close();
  }
}

/** The error of `withCluster`; where there is no cluster, with what else can be done. */
export function withoutCluster(error: unknown, instead: string): unknown {
  const isNowhere = error instanceof MeshError && error.message.startsWith('Cannot find a cluster');
  return isNowhere ? new MeshError(error.code, `${error.message}, ${instead}`, error) : error;
}

/** The mesh namespace, by flag or variable. */
export function namespaceOf(command: Command, { env }: CliContext): string {
  const isLong = command.options.some((option) => option.long === '--mesh-namespace');
  const name = isLong ? 'meshNamespace' : 'namespace';
  return optionOf(command, name, env['MAESH_NAMESPACE']) || DEFAULT_NAMESPACE;
}

function optionOf(command: Command, name: string, variable: string | undefined): string {
  const value: unknown = command.getOptionValue(name);
  return typeof value === 'string' && value !== '' ? value : (variable ?? '');
}
