/**
 * Names as Pods are told them, by every server that a query may end at. One good answer is that of one server: each replica
 * of the cluster DNS reads its configuration in its own time, each agent hears of a Service in its own time, and a missing
 * name is kept for seconds.
 */

import { type Bed, isReady, type PodObject } from '../bed/bed.ts';
import type { PodName } from '../bed/ground.ts';

/** Where the cluster DNS is as it comes, it looks at its Corefile every 30 to 45 s, after the kubelet has written it. */
const TIMEOUT_MS = 180_000;
/** Of each server: while CoreDNS reads its configuration, the old one and the new one take queries from one socket. */
const ASKS = 5;

/** Runs in a pod: says which server answers otherwise than wanted, and how. The resolver of the pod is asked last. */
const ASK = `
const { Resolver } = require('node:dns/promises');
const { hosts, wanted, asks, servers } = JSON.parse(process.argv[1]);
const ask = async (server, host) => {
  // A new one has a port of its own, and kube-proxy leads it where it likes.
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  if (server !== '') resolver.setServers([server]);
  const answer = await resolver.resolve4(host).then(() => 'found', ({ code }) => code);
  return answer === wanted ? [] : [(server || 'the resolver of the pod') + ' says ' + answer + ' to ' + host];
};
(async () => {
  for (const server of [...servers, '']) {
    const all = hosts.flatMap((host) => Array.from({ length: asks }, () => ask(server, host)));
    const [wrong] = (await Promise.all(all)).flat();
    if (wrong !== undefined) return console.log(wrong);
  }
})();
`;

interface Wanted {
  readonly hosts: readonly string[];
  /** Those of the mesh, if there is one. */
  readonly agents: () => Promise<readonly PodObject[]>;
  readonly isThere: boolean;
}

/**
 * Waits until all servers tell `pod` the addresses of the hosts, or, where they are not to be there, that there is no such name.
 * Agents come before those who ask them: what these keep can then only become right.
 */
export async function untilNamed(
  bed: Bed,
  pod: PodName,
  { hosts, agents, isThere }: Wanted,
): Promise<void> {
  const wanted = isThere ? 'found' : 'ENOTFOUND';
  await bed.waitFor(
    `${hosts.join(', ')} to be ${wanted} for ${pod}`,
    async () => {
      const replicas = await bed.pods('kube-system', 'k8s-app=kube-dns');
      const servers = [...serversOf(await agents(), 5_353), ...serversOf(replicas, 53)];
      const argv = ['node', '-e', ASK, JSON.stringify({ hosts, wanted, asks: ASKS, servers })];
      const { code, stdout, stderr } = await bed.exec(pod, argv);
      if (code !== 0 || stdout !== '') throw new Error(stdout.trim() || `exit ${code}: ${stderr}`);
      return true;
    },
    { timeoutMs: TIMEOUT_MS, everyMs: 250 },
  );
}

function serversOf(pods: readonly PodObject[], port: number): readonly string[] {
  return pods.filter(isReady).flatMap(({ status }) => {
    const { podIP = '' } = status;
    if (podIP === '') return [];
    return [podIP.includes(':') ? `[${podIP}]:${port}` : `${podIP}:${port}`];
  });
}
