/** Judges a cluster: everything that must be so for callers to be served, in the order in which one thing needs another. */

import type { ClusterFacts, Known, MissingRight } from '../facts/facts.ts';
import { checkAgents, checkStreams } from './agents.ts';
import { checkCa, checkControllers, checkLeader, isInstalled } from './control-plane.ts';
import { error, type Finding, type Flaw } from './finding.ts';
import { checkClusterDns, checkDnsService, checkProblems, checkShadows } from './network.ts';
import { checkPermissions } from './permissions.ts';
import { checkKubeProxy, checkVersion } from './version.ts';
import { aboutObject } from '../../model/object-reference.ts';

/** In the order of the text. `rights` are those that ServiceAccounts of the mesh lack; null when they were not looked at. */
export function checkCluster(
  facts: ClusterFacts,
  rights: Known<readonly MissingRight[]> | null,
): readonly Finding[] {
  const found = [...checkVersion(facts), ...checkKubeProxy(facts)];
  if (isInstalled(facts) === false) {
    return [...found, absent(facts)];
  }
  return [
    ...found,
    ...checkPermissions(facts, rights),
    ...checkControllers(facts),
    ...checkLeader(facts),
    ...checkCa(facts),
    ...checkAgents(facts),
    ...checkStreams(facts),
    ...checkDnsService(facts),
    ...checkClusterDns(facts),
    ...checkShadows(facts),
    ...checkProblems(facts),
  ];
}

/** Nothing is installed where it was looked for. */
export function absent({ namespace, server }: Pick<ClusterFacts, 'namespace' | 'server'>): Flaw {
  return error('mesh', {
    ...aboutObject('Namespace', '', namespace),
    value: 'absent',
    message: `there is no mesh in this namespace of ${server}`,
    remedy: 'run: maesh install; if it is in another namespace, name it with --mesh-namespace',
  });
}
