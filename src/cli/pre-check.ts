/** `maesh check --pre`: whether the mesh can be installed into a cluster, and what that would change. */

import type { Command } from 'commander';

import { checkBefore } from '../install/check/pre.ts';
import { gatherPre } from '../install/facts/gather-pre.ts';
import type { DnsPlan } from '../install/facts/pre-facts.ts';
import { DNS_NAMESPACE } from '../install/names.ts';
import { printFindings } from './cluster-check.ts';
import type { CliContext } from './context.ts';
import { withCluster, type Cluster } from './install-options.ts';

/** Stands for the address that Service `maesh-dns` will have. */
const ADDRESS = '192.0.2.53';

/** The exit code. */
export async function preCheckCommand(command: Command, context: CliContext): Promise<number> {
  const findings = await withCluster(command, context, async (cluster) => {
    const { api, namespace } = cluster;
    const planDns = (domains: readonly string[], mode: string): Promise<DnsPlan> =>
      planOf(cluster, domains, mode);
    return checkBefore(await gatherPre({ api, namespace, planDns }));
  });
  return printFindings(findings, command, context);
}

async function planOf(
  { api, namespace, clock }: Cluster,
  domains: readonly string[],
  mode: string,
): Promise<DnsPlan> {
  if (mode === 'off') return { flavor: 'dns mode "off"', changes: [], problems: [] };
  const [{ ClusterDnsObjects }, { plan }, { detect }] = await Promise.all([
    import('../cluster-dns/objects.ts'),
    import('../cluster-dns/plan.ts'),
    import('../cluster-dns/platform.ts'),
  ]);
  const objects = new ClusterDnsObjects(api, DNS_NAMESPACE, { namespace, owner: null });
  const facts = await objects.readFacts();
  const platform = detect(facts);
  const time = new Date(clock.wallMs()).toISOString();
  const { changes, problems } = plan(facts, platform, { domains, addresses: [ADDRESS], time });
  return {
    flavor: platform.flavor,
    changes: changes.map((change) => `ConfigMap ${change.namespace}/${change.name} ${change.key}`),
    problems,
  };
}
