/** Objects of the API server to facts about Deployments, DaemonSets, Pods and Nodes. */

import { isRecord, listAt, numberAt, recordAt, textAt } from '../../base/record.ts';
import { LABEL } from '../../model/names.ts';
import { LABEL_MANAGED_BY } from '../names.ts';
import type { NodeFact, PodFact, WorkloadFact } from './facts.ts';

/** The variables of its containers that have a value of their own. */
export function containerEnv(workload: unknown): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const container of listAt(workload, 'spec', 'template', 'spec', 'containers')) {
    for (const variable of listAt(container, 'env')) {
      const value = textAt(variable, 'value');
      if (value !== '') found.set(textAt(variable, 'name'), value);
    }
  }
  return found;
}

/** Helm's name for the release, or '' when Helm does not manage this object. */
export function helmRelease(object: unknown): string {
  const labels = recordAt(object, 'metadata', 'labels');
  if (labels[LABEL_MANAGED_BY] !== 'Helm') return '';
  return textAt(object, 'metadata', 'annotations', 'meta.helm.sh/release-name') || 'maesh';
}

export function workloadFact(raw: unknown): WorkloadFact {
  const isDaemonSet =
    textAt(raw, 'kind') === 'DaemonSet' || 'numberReady' in recordAt(raw, 'status');
  const status = recordAt(raw, 'status');
  const [container] = listAt(raw, 'spec', 'template', 'spec', 'containers');
  return {
    image: textAt(container, 'image'),
    wanted: isDaemonSet
      ? numberAt(status, 'desiredNumberScheduled')
      : numberAt(raw, 'spec', 'replicas'),
    ready: numberAt(status, isDaemonSet ? 'numberReady' : 'readyReplicas'),
    updated: numberAt(status, isDaemonSet ? 'updatedNumberScheduled' : 'updatedReplicas'),
    isStuck: listAt(status, 'conditions').some(
      (condition) => textAt(condition, 'reason') === 'ProgressDeadlineExceeded',
    ),
    nodeSelector: texts(recordAt(raw, 'spec', 'template', 'spec', 'nodeSelector')),
    env: containerEnv(raw),
    helmRelease: helmRelease(raw),
  };
}

/** null for a Pod of another part. */
export function podFact(raw: unknown): PodFact | null {
  const component = textAt(raw, 'metadata', 'labels', LABEL.component);
  if (component !== 'controller' && component !== 'agent') return null;
  const statuses = listAt(raw, 'status', 'containerStatuses');
  return {
    name: textAt(raw, 'metadata', 'name'),
    component,
    node: textAt(raw, 'spec', 'nodeName'),
    isReady: isTrue(raw, 'Ready'),
    isEnding: textAt(raw, 'metadata', 'deletionTimestamp') !== '',
    trouble: troubleOf(raw, statuses),
    restarts: statuses.reduce((sum: number, status) => sum + numberAt(status, 'restartCount'), 0),
  };
}

export function nodeFact(raw: unknown): NodeFact {
  return {
    name: textAt(raw, 'metadata', 'name'),
    isReady: isTrue(raw, 'Ready'),
    isSchedulable: recordAt(raw, 'spec')['unschedulable'] !== true,
    labels: texts(recordAt(raw, 'metadata', 'labels')),
    kubelet: textAt(raw, 'status', 'nodeInfo', 'kubeletVersion'),
  };
}

/** The first reason that a container waits for, or that the Pod has no node. */
function troubleOf(raw: unknown, statuses: readonly unknown[]): string {
  for (const status of statuses) {
    const reason = textAt(status, 'state', 'waiting', 'reason');
    if (reason !== '') return reason;
  }
  for (const condition of listAt(raw, 'status', 'conditions')) {
    const isUnscheduled =
      textAt(condition, 'type') === 'PodScheduled' && textAt(condition, 'status') === 'False';
    if (isUnscheduled) return textAt(condition, 'message') || textAt(condition, 'reason');
  }
  return textAt(raw, 'status', 'reason');
}

function isTrue(raw: unknown, type: string): boolean {
  return listAt(raw, 'status', 'conditions').some(
    (condition) => textAt(condition, 'type') === type && textAt(condition, 'status') === 'True',
  );
}

export function texts(raw: unknown): Readonly<Record<string, string>> {
  if (!isRecord(raw)) return {};
  const entries = Object.entries(raw).filter(([, value]) => typeof value === 'string');
  return Object.fromEntries(entries) as Record<string, string>;
}
