/** The controller: its replicas, who leads, and the certificates of discovery. */

import type { ClusterFacts, Known, PodFact, ReplicaFact } from '../facts/facts.ts';
import { count, fail, few, judge, ok, warn, type Finding } from './finding.ts';

const DAY_MS = 86_400_000;
/** The controller renews the CA long before. */
const CA_WARN_MS = 14 * DAY_MS;

/** Whether there is a mesh in this namespace at all; null when that is not known. */
export function isInstalled({ controller, agent }: ClusterFacts): boolean | null {
  if (!controller.ok && !agent.ok) return null;
  return (controller.ok && controller.value !== null) || (agent.ok && agent.value !== null);
}

export function checkControllers(facts: ClusterFacts): readonly Finding[] {
  const { controller, namespace } = facts;
  return judge('controller', controller, (workload) => {
    if (workload === null) {
      return [fail('controller', `is not in namespace "${namespace}"`, 'run: maesh install')];
    }
    const pods = podsOf(facts, 'controller');
    const { wanted, ready } = workload;
    const unready = pods.filter(({ isReady, isEnding }) => !isReady && !isEnding);
    const told = few(unready.map((pod) => tellPod(pod, facts.replicas.get(pod.name))));
    const see = `kubectl -n ${namespace} describe deployment/maesh-controller`;
    if (wanted === 0) {
      const remedy = `kubectl -n ${namespace} scale deployment/maesh-controller --replicas=2`;
      return [fail('controller', 'has no replicas: nothing that changes reaches agents', remedy)];
    }
    if (ready === 0) {
      const how = told === '' ? 'no Pod is there' : told;
      return [fail('controller', `none of ${count(wanted, 'replica')} is ready: ${how}`, see)];
    }
    if (ready < wanted) {
      return [warn('controller', `${ready} of ${wanted} replicas are ready: ${told}`, see)];
    }
    return [ok('controller', `${ready} of ${count(wanted, 'replica')} ready`)];
  });
}

export function checkLeader({ lease, namespace, controller }: ClusterFacts): readonly Finding[] {
  if (controller.ok && controller.value === null) return [];
  return judge('leader', lease, (found) => {
    const remedy = `look why: kubectl -n ${namespace} logs -l app.kubernetes.io/component=controller`;
    const unled = 'no new name is published, and the cluster DNS is not kept';
    if (found === null || found.holder === '') {
      return [fail('leader', `no replica leads: ${unled}`, remedy)];
    }
    // The clocks of this machine and of the cluster may differ.
    const limitMs = found.durationMs * 2 + 30_000;
    if (found.ageMs > limitMs) {
      const seconds = Number.isFinite(found.ageMs) ? Math.round(found.ageMs / 1_000) : 0;
      const since = seconds === 0 ? 'has never shown itself' : `was last seen ${seconds} s ago`;
      return [fail('leader', `"${found.holder}" ${since}: ${unled}`, remedy)];
    }
    return [ok('leader', found.holder)];
  });
}

export function checkCa({ ca, nowMs, namespace, controller }: ClusterFacts): readonly Finding[] {
  if (controller.ok && controller.value === null) return [];
  return judge('certificates', ca, (found) => {
    const where = `ConfigMap ${namespace}/maesh-ca`;
    const again = `delete Secret ${namespace}/maesh-ca and restart the controller: a new CA is made, agents take it by themselves`;
    if (found === null) {
      return [
        fail('certificates', `${where} is missing: no agent can connect`, 'restart the controller'),
      ];
    }
    if (found.certificates === 0) {
      return [fail('certificates', `${where} holds no certificate that can be read`, again)];
    }
    const left = found.endMs - nowMs;
    const date = new Date(found.endMs).toISOString().slice(0, 10);
    if (left <= 0) return [fail('certificates', `the CA ended on ${date}`, again)];
    if (left < CA_WARN_MS) {
      const message = `the CA ends on ${date} and should have been renewed long ago`;
      return [warn('certificates', message, 'look at the log of the leader, then restart it')];
    }
    return [ok('certificates', `the CA is valid until ${date}`)];
  });
}

export function podsOf(
  { pods }: ClusterFacts,
  component: PodFact['component'],
): readonly PodFact[] {
  return pods.ok ? pods.value.filter((pod) => pod.component === component) : [];
}

/** `maesh-controller-a (ImagePullBackOff)`. */
export function tellPod(pod: PodFact, replica?: Known<ReplicaFact>): string {
  const pending = replica?.ok === true ? replica.value.pending.join('; ') : '';
  const unreached = replica?.ok === false ? replica.why : '';
  const why = pod.trouble || pending || unreached || 'not ready';
  return `${pod.name} (${why}${pod.restarts > 0 ? `, ${count(pod.restarts, 'restart')}` : ''})`;
}
