/** With `--dns-mode manual`: which mesh domains nobody has told the cluster DNS about. */

import { aboutObject } from '../model/object-reference.ts';
import type { Problem } from '../model/service.ts';
import { readCorefile, type ServerBlock } from './corefile.ts';
import type { ClusterFacts } from './facts.ts';
import { configMapOf } from './mounts.ts';
import type { Desired } from './plan.ts';
import { problem, type Platform, type Target } from './platform.ts';
import { readStubDomains } from './stub-domains.ts';
import { zoneOf } from './zone-key.ts';

/** A warning for each domain that a target does not send to one of the addresses. */
export function manualProblems(
  facts: ClusterFacts,
  platform: Platform,
  wanted: Pick<Desired, 'domains' | 'addresses'>,
): readonly Problem[] {
  if (wanted.addresses.length === 0) return [];
  const problems: Problem[] = [];
  for (const target of platform.targets) {
    const forwarded = forwardedBy(facts, target);
    for (const domain of wanted.domains) {
      const servers = forwarded.get(domain) ?? [];
      if (servers.some((server) => wanted.addresses.includes(bareAddress(server)))) continue;
      problems.push(missing(facts, target, domain));
    }
  }
  return problems;
}

function missing(facts: ClusterFacts, { configMap, key }: Target, domain: string): Problem {
  return problem({
    severity: 'warning',
    ...aboutObject('ConfigMap', facts.namespace, configMap),
    field: `data["${key}"]`,
    value: '',
    message: `The cluster DNS does not forward "${domain}" to the mesh, and --dns-mode is manual`,
    remedy: 'add the lines that the leading controller logs, or set --dns-mode auto',
  });
}

/** Zone to the servers that it is forwarded to, in everything that the server of this target reads. */
function forwardedBy(facts: ClusterFacts, target: Target): ReadonlyMap<string, readonly string[]> {
  const data = configMapOf(facts, target.configMap)?.data ?? {};
  if (target.kind === 'stub-domains') return stubServers(data[target.key] ?? null);
  const found = new Map<string, readonly string[]>();
  const main = configMapOf(facts, target.main.configMap)?.data[target.main.key] ?? '';
  const texts = target.kind === 'import' ? [main, ...Object.values(data)] : [main];
  for (const block of texts.flatMap(blocksOf)) {
    const forward = block.directives.find(({ name }) => name === 'forward');
    for (const key of block.keys) found.set(zoneOf(key).zone, forward?.args.slice(1) ?? []);
  }
  return found;
}

function stubServers(value: string | null): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  const reading = readStubDomains(value);
  for (const [name, servers] of Object.entries(reading.ok ? reading.domains : {})) {
    if (Array.isArray(servers)) found.set(zoneOf(name).zone, servers.map(String));
  }
  return found;
}

function blocksOf(text: string): readonly ServerBlock[] {
  const reading = readCorefile(text);
  return reading.ok ? reading.items.filter((item) => item.kind === 'block') : [];
}

/** `dns://10.0.0.1:53` and `[fd00::1]:53` without what is around the address. */
function bareAddress(server: string): string {
  const host = server.replace(/^dns:\/\//, '');
  const bracketed = /^\[(.+)\](?::\d+)?$/.exec(host)?.[1];
  return bracketed ?? (host.split(':').length === 2 ? (host.split(':')[0] ?? '') : host);
}
