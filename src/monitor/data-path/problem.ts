/** What a person is told about a path that callers take in vain. */

import { aboutKey, aboutObject } from '../../model/object-reference.ts';
import { PROBE_SERVICE } from '../../model/names.ts';
import type { Problem } from '../../model/service.ts';
import type { PathStatus, ProbedAgent, ProbeTarget } from './status.ts';

const FIELD = 'data path';

/** The way that callers take fails. */
export function nameProblem(target: ProbeTarget, { state, detail }: PathStatus): Problem {
  const { host, address, port } = target;
  const [, namespace = ''] = host.split('.');
  const problem = {
    severity: 'error',
    ...aboutObject('Service', namespace, PROBE_SERVICE),
    field: FIELD,
    value: host,
    location: '',
  } as const;
  const shown = detail === '' ? '' : ` (${detail})`;
  if (state === 'no-name') {
    return {
      ...problem,
      message: `callers do not get the address ${address} for this name${shown}`,
      remedy: 'see the findings on the cluster DNS and maesh-dns',
    };
  }
  if (state === 'no-connection') {
    return {
      ...problem,
      message: `callers cannot connect to ${address}:${port}${shown}: they cannot reach the agents`,
      remedy: REACH_AGENTS,
    };
  }
  return {
    ...problem,
    message: `a call by this name fails${shown}: agents do not reach Pods`,
    remedy: REACH_PODS,
  };
}

/** So does the way through one agent. */
export function agentProblem(
  { agent, node, address }: ProbedAgent,
  { proxyPort }: ProbeTarget,
  { state, detail }: PathStatus,
): Problem {
  const shown = detail === '' ? '' : ` (${detail})`;
  const isReached = state !== 'no-connection';
  return {
    severity: 'error',
    ...aboutKey('Pod', agent),
    field: FIELD,
    value: `${address.includes(':') ? `[${address}]` : address}:${proxyPort}`,
    message: isReached
      ? `a call through the agent on ${node} fails${shown}: it does not reach Pods`
      : `the agent on ${node} cannot be reached by callers${shown}`,
    remedy: isReached ? REACH_PODS : REACH_AGENTS,
    location: '',
  };
}

const REACH_AGENTS =
  'check whether a NetworkPolicy or the network plugin blocks Pods from the proxy ports of the agents (docs/ports.md), and whether kube-proxy runs on all nodes';
const REACH_PODS =
  'check whether a NetworkPolicy or the network plugin blocks the agents from Pods of other nodes and namespaces';
