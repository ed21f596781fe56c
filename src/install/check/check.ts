/** Judges a cluster: everything that must be so for callers to be served, in the order in which one thing needs another. */

import type { ClusterFacts, Known, MissingRight } from '../facts/facts.ts';
import { checkAgents, checkStreams } from './agents.ts';
import { checkCa, checkControllers, checkLeader, isInstalled } from './control-plane.ts';
import { count, fail, few, judge, ok, type Finding } from './finding.ts';
import { checkClusterDns, checkDnsService, checkProblems, checkShadows } from './network.ts';
import { checkKubeProxy, checkVersion } from './version.ts';

/** In the order of the text. `rights` are those that ServiceAccounts of the mesh lack; null when they were not looked at. */
export function checkCluster(
  facts: ClusterFacts,
  rights: Known<readonly MissingRight[]> | null,
): readonly Finding[] {
  const found = [...checkVersion(facts), ...checkKubeProxy(facts)];
  if (isInstalled(facts) === false) {
    const where = `there is none in namespace "${facts.namespace}" of ${facts.server}`;
    const remedy = 'run: maesh install; if it is elsewhere, name it with --mesh-namespace';
    return [...found, fail('mesh', where, remedy)];
  }
  return [
    ...found,
    ...(rights === null ? [] : checkRights(rights)),
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

function checkRights(rights: Known<readonly MissingRight[]>): readonly Finding[] {
  return judge('rights', rights, (missing) => {
    if (missing.length === 0) return [ok('rights', 'controller and agents have what they need')];
    const byWho = Map.groupBy(missing, ({ who }) => who);
    return [...byWho].map(([who, of]) =>
      fail(
        'rights',
        `${who} lacks ${count(of.length, 'right')}: ${few(of.map(({ what }) => what))}`,
        'run: maesh upgrade (or helm upgrade); docs/rbac.md says what each right is for',
      ),
    );
  });
}
