/** One Service as the agents see it. */

import type { Problem } from '../model/service.ts';
import { MeshError } from '../base/error.ts';
import { problemsOf } from './check/network.ts';
import { askPod } from './facts/ask-replica.ts';
import type { ClusterFacts } from './facts/facts.ts';
import type { Api } from './names.ts';
import { inParallel } from './pages.ts';
import { listAt, numberAt, recordAt, textAt } from '../base/record.ts';

/** Agents that are asked; in a larger cluster they are the first by name of their node. */
const AGENTS_MAX = 20;

export interface ServiceStatus {
  /** `shop/web`. */
  readonly key: string;
  /** `published`, `announced`, `retired`; '' when it has no shadow. */
  readonly state: string;
  readonly names: readonly string[];
  readonly address: string;
  /** `80/http`. */
  readonly ports: readonly string[];
  readonly agents: readonly AgentView[];
  readonly problems: readonly Problem[];
}

interface AgentView {
  readonly node: string;
  readonly healthy: number;
  readonly total: number;
  readonly ejected: number;
  readonly breaker: string;
  /** Why it could not be asked, or ''. */
  readonly note: string;
}

/** Asks ready agents about `namespace/name`. Throws a `MeshError` when the mesh has no such Service. */
export async function serviceStatus(
  api: Api,
  facts: ClusterFacts,
  key: string,
): Promise<ServiceStatus> {
  const shadow = facts.shadows.ok
    ? facts.shadows.value.find(({ service }) => service === key)
    : undefined;
  const problems = problemsOf(facts).filter(({ object }) => object === `Service ${key}`);
  if (facts.shadows.ok && shadow === undefined && problems.length === 0) {
    throw new MeshError(
      'not_found',
      `Cannot find "${key}": the mesh has no such Service; see all with: maesh status -n ${key.split('/')[0] ?? ''}`,
    );
  }
  const pods = (facts.pods.ok ? facts.pods.value : [])
    .filter(({ component, isReady }) => component === 'agent' && isReady)
    .toSorted((a, b) => (a.node < b.node ? -1 : 1))
    .slice(0, AGENTS_MAX);
  const answers = await inParallel(pods, async ({ name, node }) => {
    const pod = { namespace: facts.namespace, name };
    try {
      const answer = await askPod(api, pod, '/api/services', { query: { service: key } });
      const [found] = listAt(answer, 'services');
      return { node, found, note: found === undefined ? 'does not know it yet' : '' };
    } catch (error) {
      return { node, found: undefined, note: MeshError.from(error).message };
    }
  });
  const first = answers.find(({ found }) => found !== undefined)?.found;
  return {
    key,
    state: shadow?.state ?? '',
    names: listAt(first, 'names').map(String),
    address: textAt(first, 'address'),
    ports: listAt(first, 'ports').map(
      (port) => `${numberAt(port, 'port')}/${textAt(port, 'protocol')}`,
    ),
    agents: answers.map(({ node, found, note }) => ({ node, note, ...viewOf(found) })),
    problems,
  };
}

function viewOf(found: unknown): Omit<AgentView, 'node' | 'note'> {
  const endpoints = recordAt(found, 'endpoints');
  return {
    healthy: numberAt(endpoints, 'healthy'),
    total: numberAt(endpoints, 'total'),
    ejected: numberAt(endpoints, 'ejected'),
    breaker: textAt(found, 'breaker'),
  };
}
