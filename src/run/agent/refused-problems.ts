/** Services that this agent refuses, as Problems: they say what this version of maesh does not know. */

import type { Refused } from '../../discovery/understanding.ts';
import { aboutKey } from '../../model/object-reference.ts';
import { AGENT } from '../../model/names.ts';
import type { Problem } from '../../model/service.ts';

export function refusedProblems(refused: readonly Refused[], build: string): readonly Problem[] {
  return refused.map(({ key, unknown }) => ({
    severity: 'error',
    ...aboutKey('Service', key),
    field: unknown.join(', '),
    value: build,
    message: `This agent does not serve the Service: version ${build} does not know ${unknown.join(', ')}, and without it would serve more than the Service asks for`,
    remedy: `update the agents to the version of the controller: kubectl rollout status daemonset/${AGENT}`,
    location: '',
  }));
}
