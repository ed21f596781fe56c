/** The controller: its replicas, who leads, and the certificates of discovery. */

import type { ClusterFacts, Known, PodFact, ReplicaFact, WorkloadFact } from '../facts/facts.ts';
import { count, error, few, judgeSeen, ok, warning, type Finding } from './finding.ts';
import { type About, aboutObject } from '../../model/object-reference.ts';

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
  const subject = aboutObject('Deployment', namespace, 'maesh-controller');
  return judgeSeen('controller', controller, (workload) => {
    if (workload === null) {
      const message = `there is no controller in namespace "${namespace}"`;
      return [error('controller', { ...subject, value: 'absent', message, remedy: INSTALL })];
    }
    const pods = podsOf(facts, 'controller');
    const { wanted, ready } = workload;
    const unready = pods.filter(({ isReady, isEnding }) => !isReady && !isEnding);
    const told = few(unready.map((pod) => tellPod(pod, facts.replicas.get(pod.name))));
    if (wanted === 0) {
      const message = 'there is no controller: agents get no changes';
      const remedy = `kubectl -n ${namespace} scale deployment/maesh-controller --replicas=2`;
      return [
        error('controller', { ...subject, field: 'spec.replicas', value: '0', message, remedy }),
      ];
    }
    const [first] = unready;
    const describe = `kubectl -n ${namespace} describe deployment/maesh-controller`;
    const short = {
      ...subject,
      field: 'status.readyReplicas',
      value: `${ready} of ${wanted}`,
      message: told === '' ? 'Pods are missing' : told,
      remedy: first === undefined ? describe : seeOf(first, namespace),
    };
    if (ready === 0) return [error('controller', short)];
    if (ready < wanted) return [warning('controller', short)];
    const well = ok('controller', `${ready} of ${count(wanted, 'replica')} ready`);
    return [well, ...checkRollout({ topic: 'controller', subject, namespace }, workload, unready)];
  });
}

const INSTALL = 'run: maesh install';

interface Looked {
  readonly topic: string;
  readonly subject: About;
  readonly namespace: string;
}

/** An upgrade that does not end, while Pods of the old version go on serving. */
export function checkRollout(
  { topic, subject, namespace }: Looked,
  { updated, wanted, isStuck }: WorkloadFact,
  unready: readonly PodFact[],
): readonly Finding[] {
  const [first] = unready;
  if (updated >= wanted && first === undefined) return [];
  const finding = isStuck ? error : warning;
  return [
    finding(topic, {
      ...subject,
      field: 'status',
      value: `${updated} of ${wanted} updated`,
      message:
        first === undefined
          ? 'an upgrade is in progress'
          : `an upgrade is in progress, and new Pods do not become ready: ${few(unready.map((pod) => tellPod(pod)))}`,
      remedy:
        first === undefined
          ? 'wait until it ends, or run: maesh check --wait'
          : `find the cause: ${seeOf(first, namespace)}`,
    }),
  ];
}

export function checkLeader({ lease, namespace, controller }: ClusterFacts): readonly Finding[] {
  if (controller.ok && controller.value === null) return [];
  return judgeSeen('leader', lease, (found) => {
    const lost = {
      ...aboutObject('Lease', namespace, 'maesh-controller'),
      remedy: `find the cause: kubectl -n ${namespace} logs -l app.kubernetes.io/component=controller`,
    };
    const unled = 'no new name is published, and the cluster DNS is not maintained';
    if (found === null || found.holder === '') {
      const message = `there is no leader: ${unled}`;
      return [error('leader', { ...lost, field: 'spec.holderIdentity', value: 'none', message })];
    }
    // The clocks of this machine and of the cluster may differ.
    const limitMs = found.durationMs * 2 + 30_000;
    if (found.ageMs > limitMs) {
      const seconds = Number.isFinite(found.ageMs) ? Math.round(found.ageMs / 1_000) : 0;
      const value = seconds === 0 ? 'never' : `${seconds} s ago`;
      const message = `"${found.holder}" is the leader, but does not renew its Lease: ${unled}`;
      return [error('leader', { ...lost, field: 'spec.renewTime', value, message })];
    }
    return [ok('leader', found.holder)];
  });
}

export function checkCa({ ca, nowMs, namespace, controller }: ClusterFacts): readonly Finding[] {
  if (controller.ok && controller.value === null) return [];
  return judgeSeen('certificates', ca, (found) => {
    const subject = aboutObject('ConfigMap', namespace, 'maesh-ca');
    const again = `delete Secret ${namespace}/maesh-ca and restart the controller: a new CA is created, and agents load it by themselves`;
    if (found === null) {
      const message = 'agents cannot connect without it';
      const remedy = `kubectl -n ${namespace} rollout restart deployment/maesh-controller`;
      return [error('certificates', { ...subject, value: 'absent', message, remedy })];
    }
    const end = { ...subject, field: 'data["ca.crt"]' };
    if (found.certificates === 0) {
      const message = 'has no readable certificate';
      return [error('certificates', { ...end, value: 'unreadable', message, remedy: again })];
    }
    const left = found.endMs - nowMs;
    const value = new Date(found.endMs).toISOString().slice(0, 10);
    if (left <= 0) {
      const message = 'the CA has expired: agents cannot connect';
      return [error('certificates', { ...end, value, message, remedy: again })];
    }
    if (left < CA_WARN_MS) {
      const message = 'the CA expires at that time; its renewal is overdue';
      const remedy = 'check the log of the leader, then restart it';
      return [warning('certificates', { ...end, value, message, remedy })];
    }
    return [ok('certificates', `the CA is valid until ${value}`)];
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

/** The command that shows why a Pod is not ready: a container that never ran has no log. */
export function seeOf(pod: PodFact, namespace: string): string {
  const hasRun = pod.trouble === '' || pod.trouble === 'CrashLoopBackOff';
  return `kubectl -n ${namespace} ${hasRun ? 'logs' : 'describe pod'} ${pod.name}`;
}
