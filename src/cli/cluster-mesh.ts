/** The mesh of a cluster, as its controllers and agents tell of it through the API server. */

import type { Command } from 'commander';

import { systemClock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { askCallerAgent, type CallerQuestion, type CallerState } from '../install/caller-agent.ts';
import { askSnapshot, MeshPods } from '../install/mesh-pods.ts';
import { loadConnection } from '../kube/api/connection.ts';
import type { CliContext } from './context.ts';
import { withCluster } from './install-options.ts';

/** Everything that a controller, or else an agent, gives out. Throws a `MeshError` with the way out. */
export async function askClusterMesh<T>(
  command: Command,
  context: CliContext,
  isWanted: (body: unknown) => body is T,
): Promise<T> {
  return withCluster(command, context, async (cluster) => {
    const pods = await MeshPods.find(cluster);
    const answer = await askSnapshot(pods, [...pods.controllers, ...pods.agents], '');
    if (isWanted(answer.value)) return answer.value;
    throw new MeshError(
      'invalid_input',
      `Cannot read what "${pods.namespace}/${answer.pod.name}" answers: it is not a mesh of this version`,
    );
  });
}

/** What the agent of the caller knows. Throws a `MeshError` with the way out. */
export async function askClusterCaller(
  command: Command,
  context: CliContext,
  question: CallerQuestion,
): Promise<CallerState & { readonly server: string }> {
  return withCluster(command, context, async (cluster) => {
    const pods = await MeshPods.find(cluster);
    return { ...(await askCallerAgent(pods, question)), server: pods.server };
  });
}

/** Whether a kubeconfig, or the Pod that this runs in, names a cluster. */
export async function hasCluster({ env }: CliContext): Promise<boolean> {
  return loadConnection({ env, clock: systemClock }).then(
    () => true,
    () => false,
  );
}
