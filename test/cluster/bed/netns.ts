/**
 * The network of the cluster: an outer namespace with a bridge, and one namespace per node that hangs on it. Nothing
 * is made in the machine's own namespace, so nothing there can be disturbed.
 *
 *   PREFIX-lab   br0 10.200.0.1 (etcd, API server, controllers, scheduler, the resolver of the world outside)
 *     PREFIX-n1  eth0 10.200.0.11   pods 10.244.1.0/24, one veth and one namespace each (kubelet/network.ts)
 *     PREFIX-n2  eth0 10.200.0.12   pods 10.244.2.0/24
 */

import { run } from './command.ts';

export interface NodeNet {
  readonly name: string;
  readonly netns: string;
  readonly address: string;
  readonly address6: string;
  readonly podCidr: string;
  readonly podCidr6: string;
}

export const LAB_ADDRESS = '10.200.0.1';
export const POD_CIDR = '10.244.0.0/16';
export const POD_CIDR6 = 'fd00:244::/32';
export const SERVICE_CIDR = '10.96.0.0/16';
export const SERVICE_CIDR6 = 'fd00:96::/112';
/** Where kubeadm puts the cluster DNS and the API server. */
export const CLUSTER_DNS = '10.96.0.10';
export const KUBERNETES_SERVICE = '10.96.0.1';
const LAB_ADDRESS6 = 'fd00:200::1';

export class LabNet {
  readonly lab: string;
  readonly nodes: readonly NodeNet[];

  constructor(prefix: string, nodes: number) {
    this.lab = `${prefix}-lab`;
    this.nodes = Array.from({ length: nodes }, (_, index) => {
      const n = index + 1;
      return {
        name: `n${n}`,
        netns: `${prefix}-n${n}`,
        address: `10.200.0.${10 + n}`,
        address6: `fd00:200::${10 + n}`,
        podCidr: `10.244.${n}.0/24`,
        podCidr6: `fd00:244:${n}::/64`,
      };
    });
  }

  async make(): Promise<void> {
    const { lab, nodes } = this;
    await ip(undefined, [`netns add ${lab}`, ...nodes.map(({ netns }) => `netns add ${netns}`)]);
    await ip(lab, [
      'link set lo up',
      'link add br0 type bridge',
      `addr add ${LAB_ADDRESS}/24 dev br0`,
      `addr add ${LAB_ADDRESS6}/64 dev br0 nodad`,
      'link set br0 up',
      ...nodes.flatMap(({ name, netns, address, address6, podCidr, podCidr6 }) => [
        `link add ${name} type veth peer name eth0 netns ${netns}`,
        `link set ${name} master br0 up`,
        `route add ${podCidr} via ${address}`,
        `route add ${podCidr6} via ${address6}`,
      ]),
    ]);
    await Promise.all(
      nodes.map(async ({ name, netns, address, address6 }) => {
        await ip(netns, [
          'link set lo up',
          `addr add ${address}/24 dev eth0`,
          `addr add ${address6}/64 dev eth0 nodad`,
          'link set eth0 up',
          `route add default via ${LAB_ADDRESS}`,
          `route add default via ${LAB_ADDRESS6}`,
          ...nodes
            .filter((other) => other.name !== name)
            .flatMap((other) => [
              `route add ${other.podCidr} via ${other.address}`,
              `route add ${other.podCidr6} via ${other.address6}`,
            ]),
        ]);
        await sysctl(netns, { 'net.ipv4.ip_forward': '1', 'net.ipv6.conf.all.forwarding': '1' });
      }),
    );
  }

  /** Takes the cable of a node out, or puts it back; what runs on the node goes on. */
  async cable(node: string, plugged: boolean): Promise<void> {
    await ip(this.lab, [`link set ${node} ${plugged ? 'up' : 'down'}`]);
  }
}

/** Runs lines of ip(8) in one process, in the named namespace. */
export async function ip(netns: string | undefined, lines: readonly string[]): Promise<void> {
  const where = netns === undefined ? [] : ['-n', netns];
  await run(['ip', ...where, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

export async function sysctl(
  netns: string,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  const settings = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  await run(['sysctl', '-q', '-w', ...settings], { netns });
}
