/** Facts of the clusters in testdata, and of one with the Corefile that a test wants. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parseAllDocuments } from 'yaml';

import type { ClusterFacts, ConfigMapFact } from './facts.ts';
import { configMapFact, serviceFact, workloadFact } from './read-facts.ts';

export const PLATFORMS = [
  'aks',
  'digitalocean',
  'eks',
  'gardener',
  'gke',
  'k3s',
  'kubeadm',
  'node-local',
  'rke2',
] as const;

export function rawObjects(name: string): readonly Record<string, unknown>[] {
  const file = join(import.meta.dirname, 'testdata', `${name}.in.yaml`);
  return parseAllDocuments(readFileSync(file, 'utf8')).map(
    (document) => document.toJS() as Record<string, unknown>,
  );
}

const known = new Map<string, ClusterFacts>();

/** The same ones each time: nobody can change them. */
export function factsOf(name: string): ClusterFacts {
  const facts = known.get(name) ?? frozen(readFacts(name));
  known.set(name, facts);
  return facts;
}

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const each of Object.values(value)) frozen(each);
  return Object.freeze(value);
}

function readFacts(name: string): ClusterFacts {
  const raws = rawObjects(name);
  const of = (kind: string): readonly unknown[] => raws.filter((raw) => raw['kind'] === kind);
  return {
    namespace: 'kube-system',
    services: of('Service').map(serviceFact),
    workloads: [
      ...of('Deployment').map((raw) => workloadFact(raw, 'Deployment')),
      ...of('DaemonSet').map((raw) => workloadFact(raw, 'DaemonSet')),
    ],
    configMaps: of('ConfigMap').map(configMapFact),
  };
}

/** The kubeadm cluster with another Corefile. */
export function factsWith(corefile: string): ClusterFacts {
  return withData(factsOf('kubeadm'), 'coredns', { Corefile: corefile });
}

/** `facts` with these keys in that ConfigMap, which is made when it is not there. */
export function withData(
  facts: ClusterFacts,
  name: string,
  data: Readonly<Record<string, string>>,
): ClusterFacts {
  const old = facts.configMaps.find((map) => map.name === name);
  const map: ConfigMapFact = old ?? {
    namespace: facts.namespace,
    name,
    uid: `uid-${name}`,
    resourceVersion: '1',
    labels: {},
    annotations: {},
    data: {},
    hasBinaryData: false,
    immutable: false,
  };
  const others = facts.configMaps.filter((other) => other !== old);
  return { ...facts, configMaps: [...others, { ...map, data: { ...map.data, ...data } }] };
}

export function dataOf(facts: ClusterFacts, name: string): Readonly<Record<string, string>> {
  return facts.configMaps.find((map) => map.name === name)?.data ?? {};
}
