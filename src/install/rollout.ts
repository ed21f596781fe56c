/** Whether controller and agents run as they were applied. */

import { resourcePath } from '../kube/api/path.ts';
import { orNull } from '../kube/api/api-error.ts';
import { seeOf, tellPod } from './check/control-plane.ts';
import { few } from './check/finding.ts';
import type { WorkloadFact } from './facts/facts.ts';
import { podFact, workloadFact } from './facts/workload.ts';
import { AGENT, CONTROLLER, OURS } from '../model/names.ts';
import { type Api } from './names.ts';
import { listAll } from './pages.ts';
import { numberAt, type Raw } from '../base/record.ts';

/** What is missing, as a sentence; '' when everything runs, of the latest template, and is ready. */
export async function missingReplicas(api: Api, namespace: string): Promise<string> {
  const apps = { group: 'apps', version: 'v1', namespace };
  const [controller, agent] = await Promise.all([
    orNull(api.get(resourcePath({ ...apps, plural: 'deployments', name: CONTROLLER }))),
    orNull(api.get(resourcePath({ ...apps, plural: 'daemonsets', name: AGENT }))),
  ]);
  const missing = [tell('controller', controller), tell('agents', agent)];
  return missing.filter((part) => part !== '').join('; ');
}

/** Why Pods are not ready: `maesh-agent-a (ImagePullBackOff)`, and the command that shows more of the first; null when all are. */
export async function troubles(
  api: Api,
  namespace: string,
): Promise<{ readonly why: string; readonly see: string } | null> {
  const path = resourcePath({ version: 'v1', plural: 'pods', namespace });
  const pods = (await listAll(api, path, { labelSelector: OURS }))
    .map(podFact)
    .filter((pod) => pod !== null && !pod.isReady && !pod.isEnding);
  const [first] = pods;
  if (first === undefined || first === null) return null;
  const why = few(pods.filter((pod) => pod !== null).map((pod) => tellPod(pod)));
  return { why, see: seeOf(first, namespace) };
}

function tell(what: string, raw: Raw | null): string {
  if (raw === null) return `${what}: not there`;
  const fact: WorkloadFact = workloadFact(raw);
  const isSeen =
    numberAt(raw, 'status', 'observedGeneration') >= numberAt(raw, 'metadata', 'generation');
  if (!isSeen) return `${what}: not started`;
  const { wanted, updated, ready } = fact;
  if (updated < wanted) return `${what}: ${updated} of ${wanted} replaced`;
  return ready < wanted ? `${what}: ${ready} of ${wanted} ready` : '';
}
