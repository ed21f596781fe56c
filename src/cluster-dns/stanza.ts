/** The exact text for `--dns-mode manual`: what to write where, on the platform of the reader, and how to take it back. */

import type { Desired } from './plan.ts';
import type { CorefileTarget, Flavor, Platform, StubTarget, Target } from './platform.ts';
import { serverLines } from './server-block.ts';

type Wanted = Pick<Desired, 'domains' | 'addresses'>;

/** Who else writes the ConfigMap, and where a change that shall last is made instead. */
export const KEEPERS_OF_DNS: Readonly<Record<Flavor, string>> = {
  aks: '',
  digitalocean: '',
  eks: 'The EKS add-on "coredns" may write its own Corefile again when it is updated. To keep the lines, give it the whole Corefile: aws eks update-addon --addon-name coredns --resolve-conflicts PRESERVE --configuration-values \'{"corefile": "…"}\'.',
  gardener: '',
  gke: 'With Cloud DNS for GKE no DNS server runs in the cluster: make a private forwarding zone for each domain instead.',
  k3s: '',
  kubernetes: '',
  rke2: 'Each upgrade of RKE2 overwrites this ConfigMap. To keep the lines, add the zones to "servers" in a HelmChartConfig named "rke2-coredns".',
};

export function manualText(platform: Platform, wanted: Wanted): string {
  const { targets, namespace } = platform;
  if (wanted.addresses.length === 0) {
    return 'Service "maesh-dns" has no cluster IP yet: try again when it has one.\n';
  }
  const parts = targets.map((target) => targetText(target, namespace, wanted));
  if (targets.length === 0) parts.push(unknownText(platform, wanted));
  const keeper = KEEPERS_OF_DNS[platform.flavor];
  if (keeper !== '') parts.push(`${keeper}\n`);
  return parts.join('\n');
}

function targetText(target: Target, namespace: string, wanted: Wanted): string {
  const place = `ConfigMap ${namespace}/${target.configMap}`;
  if (target.kind === 'stub-domains') return stubText(target, place, wanted);
  const lines = serverLines(wanted.domains, wanted.addresses, target.listener).slice(1);
  return target.kind === 'import'
    ? importText(target, namespace, lines)
    : corefileText(target, place, lines);
}

function corefileText(target: CorefileTarget, place: string, lines: readonly string[]): string {
  return [
    `Add these lines at the end of key "${target.key}" of ${place}:`,
    `    kubectl -n ${target.workload.namespace} edit configmap ${target.configMap}`,
    '',
    ...lines,
    '',
    restartText(target),
    'To undo it, delete these lines.',
    '',
  ].join('\n');
}

function importText(target: CorefileTarget, namespace: string, lines: readonly string[]): string {
  const file = target.key;
  return [
    `Write these lines into a file "${file}":`,
    '',
    ...lines,
    '',
    `and make it a key of ConfigMap ${namespace}/${target.configMap}, which the Corefile imports:`,
    `    kubectl -n ${namespace} get configmap ${target.configMap} || kubectl -n ${namespace} create configmap ${target.configMap}`,
    `    kubectl -n ${namespace} patch configmap ${target.configMap} --type merge -p "$(jq -Rs '{data: {"${file}": .}}' ${file})"`,
    '',
    restartText(target),
    'To undo it:',
    `    kubectl -n ${namespace} patch configmap ${target.configMap} --type merge -p '{"data": {"${file}": null}}'`,
    '',
  ].join('\n');
}

function stubText(target: StubTarget, place: string, { domains, addresses }: Wanted): string {
  const members = domains.map(
    (domain) => `${JSON.stringify(domain)}: ${JSON.stringify(addresses)}`,
  );
  return [
    `Add these members to the JSON in key "${target.key}" of ${place} (without the key it is the whole value, in braces):`,
    `    kubectl -n ${target.workload.namespace} edit configmap ${target.configMap}`,
    '',
    members.join(',\n'),
    '',
    'kube-dns reads it within a minute, without a restart. To undo it, delete these members.',
    '',
  ].join('\n');
}

function restartText({ reloads, workload }: CorefileTarget): string {
  if (reloads)
    return 'It takes effect within two minutes, without a restart: plugin "reload" is on.';
  const name = `${workload.kind.toLowerCase()}/${workload.name}`;
  return `Plugin "reload" is off, so restart it: kubectl -n ${workload.namespace} rollout restart ${name}`;
}

function unknownText({ problems }: Platform, { domains, addresses }: Wanted): string {
  const servers = addresses.join(' and ');
  const lines = problems.map(({ object, message, remedy }) => `${object}: ${message}; ${remedy}`);
  return [
    ...lines,
    `Configure the DNS of this cluster to forward ${domains.map((domain) => `"${domain}"`).join(' and ')} to ${servers}, port 53, UDP and TCP.`,
    'On OpenShift its operator does that:',
    `    oc patch dns.operator/default --type merge -p '${openShiftPatch(domains, addresses)}'`,
    '',
  ].join('\n');
}

/** The list is replaced as a whole by a merge patch: a person with other servers has to add theirs. */
function openShiftPatch(domains: readonly string[], addresses: readonly string[]): string {
  const upstreams = addresses.map((address) =>
    address.includes(':') ? `[${address}]:53` : `${address}:53`,
  );
  const server = { name: 'maesh', zones: domains, forwardPlugin: { upstreams } };
  return JSON.stringify({ spec: { servers: [server] } });
}
