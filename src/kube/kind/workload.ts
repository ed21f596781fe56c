/**
 * Workloads in manifests (Deployment, StatefulSet and so on): without a cluster nobody makes Pods of them, so each stands for the
 * Pods that it would have. A cluster is never asked for workloads: there the Pods themselves are read.
 */

import { ANNOTATION_PREFIX, OWN_NAMES, POD_ADDRESS } from '../../model/names.ts';
import { Fields, FieldProblems } from '../fields.ts';
import type { FieldProblem } from '../fields.ts';
import { readMeta } from '../meta.ts';
import { SUBDOMAIN } from '../name.ts';
import type { PodObject } from './pod.ts';
import type { Meta } from '../meta.ts';
import { readPodSpec } from './pod.ts';
import type { ObjectReference } from '../../model/object-reference.ts';

interface WorkloadRule {
  readonly apiVersion: string;
  /** Where the template of its Pods is. */
  readonly template: readonly string[];
  /** Field of `spec` with the number of Pods; '' for one Pod. */
  readonly count: string;
  /** Number in the name of the first Pod. */
  readonly first: number;
}

const TEMPLATE = ['spec', 'template'];

const WORKLOADS = {
  Deployment: { apiVersion: 'apps/v1', template: TEMPLATE, count: 'replicas', first: 1 },
  ReplicaSet: { apiVersion: 'apps/v1', template: TEMPLATE, count: 'replicas', first: 1 },
  StatefulSet: { apiVersion: 'apps/v1', template: TEMPLATE, count: 'replicas', first: 0 },
  DaemonSet: { apiVersion: 'apps/v1', template: TEMPLATE, count: '', first: 1 },
  ReplicationController: { apiVersion: 'v1', template: TEMPLATE, count: 'replicas', first: 1 },
  Job: { apiVersion: 'batch/v1', template: TEMPLATE, count: 'parallelism', first: 1 },
  CronJob: {
    apiVersion: 'batch/v1',
    template: ['spec', 'jobTemplate', ...TEMPLATE],
    count: '',
    first: 1,
  },
} as const satisfies Record<string, WorkloadRule>;

export type WorkloadKind = keyof typeof WORKLOADS;

/** The workloads that are read, and in which version. */
export const WORKLOAD_VERSIONS: ReadonlyMap<string, string> = new Map(
  Object.entries(WORKLOADS).map(([kind, { apiVersion }]) => [kind, apiVersion]),
);

/** Pods that one workload stands for at most. */
export const COPIES_MAX = 100;

export interface Workload {
  /** null when it has no name. */
  readonly ref: ObjectReference | null;
  /** Empty when it cannot be used; then `findings` has an error. */
  readonly pods: readonly PodObject[];
  /** Where the template is in the workload. */
  readonly template: readonly string[];
  readonly findings: readonly FieldProblem[];
}

export function isWorkload(apiVersion: string, kind: string): kind is WorkloadKind {
  return (
    Object.hasOwn(WORKLOADS, kind) && WORKLOADS[kind as WorkloadKind].apiVersion === apiVersion
  );
}

/** The Pods that a workload would have: `web-1`, `web-2`; those of a StatefulSet `db-0`, `db-1`, as in a cluster. */
export function readWorkload(
  kind: WorkloadKind,
  value: Readonly<Record<string, unknown>>,
): Workload {
  const findings = new FieldProblems();
  const root = Fields.root(value, findings);
  const rule: WorkloadRule = WORKLOADS[kind];
  const meta = readMeta(root, SUBDOMAIN, 'namespaced');
  warnOfAnnotations(kind, root, meta);
  const spec = root.child('spec');
  const count = rule.count === '' ? 1 : readCount(spec, rule.count);
  let template = root;
  for (const step of rule.template) {
    if (!template.isLost && !template.has(step)) {
      template.lose(step, `${kind} has no Pod template`, 'write what its Pods are there');
    }
    template = template.child(step);
  }
  const pod = readTemplate(template, meta);
  const pods = findings.lost
    ? []
    : Array.from({ length: count }, (_, i) => named(pod, `${meta.name}-${rule.first + i}`, i));
  const { name, namespace } = meta;
  const ref = name === '' ? null : { apiVersion: rule.apiVersion, kind, namespace, name };
  return { ref, pods, template: rule.template, findings: findings.all };
}

/** Nobody reads the annotations of the workload itself: they are for its Service, or for its Pods. */
function warnOfAnnotations(kind: WorkloadKind, root: Fields, meta: Meta): void {
  for (const key of Object.keys(meta.annotations)) {
    if (!key.startsWith(ANNOTATION_PREFIX) || OWN_NAMES.has(key.slice(ANNOTATION_PREFIX.length)))
      continue;
    const message = `annotation has no effect on a ${kind}`;
    const remedy = 'put it on the Service or, if it is for Pods, in the Pod template';
    root.child('metadata').child('annotations').warning(key, message, remedy);
  }
}

function readTemplate(template: Fields, { namespace }: Meta): PodObject {
  const metadata = template.child('metadata');
  const meta: Meta = {
    name: '',
    namespace,
    labels: metadata.texted('labels'),
    annotations: metadata.texted('annotations'),
    uid: '',
    deletionTimestamp: '',
  };
  const spec = readPodSpec(template.child('spec'));
  return { kind: 'Pod', meta, ...spec, phase: '', ready: false, podIPs: [] };
}

/** One Pod of the workload. Of the addresses that its template lists, each Pod has its own. */
function named(pod: PodObject, name: string, index: number): PodObject {
  const { [POD_ADDRESS]: addresses, ...others } = pod.meta.annotations;
  const own = addresses?.split(',')[index]?.trim();
  const annotations = own === undefined ? others : { ...others, [POD_ADDRESS]: own };
  return { ...pod, meta: { ...pod.meta, name, annotations } };
}

function readCount(spec: Fields, key: string): number {
  const count = spec.raw(key) ?? 1;
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0) {
    spec.error(
      key,
      'Must be a whole number of Pods',
      'write a number such as 2; until then it is 1',
    );
    return 1;
  }
  if (count > COPIES_MAX) {
    spec.warning(
      key,
      `Only the first ${COPIES_MAX} Pods are there`,
      'more say nothing more about the mesh on one machine',
    );
  }
  return Math.min(count, COPIES_MAX);
}
