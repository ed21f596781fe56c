/** What agents of another version cannot do, as Problems of the mesh: one for each thing that they do not know, however many Services use it. */

import { describeAgent, type AgentStatus } from '../discovery/session.ts';
import { aboutText } from '../model/object-reference.ts';
import { AGENT } from '../model/names.ts';
import type { Problem } from '../model/service.ts';

/** Names of agents and of Services in one Problem. */
const NAMED_MAX = 3;

interface MissingAbility {
  readonly agents: Map<string, AgentStatus>;
  readonly services: Set<string>;
}

export function notServedProblems(agents: readonly AgentStatus[]): readonly Problem[] {
  const lacks = new Map<string, MissingAbility>();
  for (const agent of agents) {
    for (const { key, unknown } of agent.notServed) {
      for (const term of unknown) {
        let lack = lacks.get(term);
        if (lack === undefined)
          lacks.set(term, (lack = { agents: new Map(), services: new Set() }));
        lack.agents.set(agent.agent, agent);
        lack.services.add(key);
      }
    }
  }
  return [...lacks]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([term, lack]) => ({
      severity: 'error',
      ...aboutText('Cluster'),
      field: 'agents',
      value: term,
      message: `Agents that do not know "${term}" do not serve the Services that use it: ${named([...lack.agents.values()].map(describeAgent))} leave out ${named([...lack.services])}`,
      remedy: `update these agents to the version of the controller: kubectl rollout status daemonset/${AGENT}`,
      location: '',
    }));
}

function named(names: readonly string[]): string {
  const shown = names.toSorted().slice(0, NAMED_MAX).join(', ');
  return names.length > NAMED_MAX ? `${shown} and ${names.length - NAMED_MAX} more` : shown;
}
