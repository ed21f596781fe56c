/** The version of Kubernetes, and what an older one lacks. */

import type { ClusterFacts, Known } from '../facts/facts.ts';
import { error, few, judge, ok, warning, type Finding } from './finding.ts';

/** Minor versions of Kubernetes 1 that maesh is made for. */
const OLDEST = 21;
const NEWEST = 36;
/** From here on kube-proxy keeps traffic on its node where it can. */
const SAME_NODE = 34;
/** From here on it keeps traffic in its zone. */
const CLOSE = 31;
/** From here on two agents may share a node during an upgrade. */
const SURGE = 22;
const SERVER = { object: 'Kubernetes', field: 'version' };

/** The minor version of `v1.36.3`; -1 for what is no version of Kubernetes 1. */
export function minorOf(version: string): number {
  const digits = /^v?1\.(\d+)/.exec(version)?.[1];
  return digits === undefined ? -1 : Number(digits);
}

export function checkVersion({ version }: { readonly version: Known<string> }): readonly Finding[] {
  return judge('Kubernetes', version, (value) => {
    const minor = minorOf(value);
    if (minor < OLDEST) {
      const remedy = `upgrade the cluster to 1.${OLDEST} or later`;
      const message = `maesh needs Kubernetes 1.${OLDEST} or later`;
      return [error('Kubernetes', { ...SERVER, value, message, remedy })];
    }
    const found = [
      minor > NEWEST
        ? warning('Kubernetes', {
            ...SERVER,
            value,
            message: `this maesh was tested with 1.${OLDEST} to 1.${NEWEST}`,
            remedy: 'check for a newer version of maesh',
          })
        : ok('Kubernetes', value),
    ];
    if (minor < SURGE) {
      const message =
        'allows only one agent per node at a time: during an upgrade of maesh, agents of other nodes serve its callers';
      const remedy = `upgrade the cluster to 1.${SURGE} or later`;
      found.push(warning('upgrades', { ...SERVER, value, message, remedy }));
    }
    return found;
  });
}

/** Whether the traffic of a node stays on it: of the API server's version, and of what runs on the nodes. */
export function checkKubeProxy(facts: ClusterFacts): readonly Finding[] {
  const { version, nodes, kubeProxy } = facts;
  if (!version.ok) return [];
  const mode = kubeProxy.ok && kubeProxy.value !== null ? kubeProxy.value.mode : '';
  const by = mode === '' ? 'kube-proxy' : `kube-proxy (${mode})`;
  const { value } = version;
  const minor = minorOf(value);
  const old = (nodes.ok ? nodes.value : []).filter(({ kubelet }) => {
    const found = minorOf(kubelet);
    return found >= 0 && found < Math.min(SAME_NODE, minor);
  });
  const remedy = `everything works, with one more hop; upgrade the cluster to 1.${SAME_NODE} to avoid it`;
  if (minor < CLOSE) {
    const message = `kube-proxy does not support trafficDistribution (Kubernetes 1.${CLOSE}): callers use any agent, not the one on their node`;
    return [warning('kube-proxy', { ...SERVER, value, message, remedy })];
  }
  if (minor < SAME_NODE) {
    const message = `kube-proxy keeps callers in their zone, not on their node (Kubernetes 1.${SAME_NODE})`;
    return [warning('kube-proxy', { ...SERVER, value, message, remedy })];
  }
  if (old.length > 0) {
    return [
      warning('kube-proxy', {
        object: 'Nodes',
        field: 'status.nodeInfo.kubeletVersion',
        value: few(old.map(({ name, kubelet }) => `${name}: ${kubelet}`)),
        message: 'kube-proxy there may be too old to keep callers on their node',
        remedy: `upgrade these nodes to 1.${SAME_NODE} or later`,
      }),
    ];
  }
  return [ok('kube-proxy', `${by} sends callers to the agent on their node`)];
}
