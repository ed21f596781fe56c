/**
 * The network of pods: each has its namespace and one veth into that of its node, with an address for itself alone and
 * routes at both ends. Nothing is bridged, so every packet passes kube-proxy's rules and is translated back by them.
 */

import { ip, sysctl } from '../netns.ts';
import { attempt } from '../command.ts';
import type { KubeletConfig } from './types.ts';

export interface PodNet {
  readonly netns: string;
  readonly address: string;
  /** '' in a cluster of one family. */
  readonly address6: string;
}

const FIRST = 2;
const LAST = 254;

export class PodNetworks {
  readonly #config: KubeletConfig;
  readonly #used = new Set<number>();
  #next = FIRST;

  constructor(config: KubeletConfig) {
    this.#config = config;
  }

  /** The pod's own namespace, up, and its addresses. */
  async make(sysctls: Readonly<Record<string, string>>): Promise<PodNet> {
    const { dualStack } = this.#config;
    const host = this.#take();
    const net = this.#net(host);
    const [gateway, gateway6] = [this.#address(1), this.#address6(1)];
    const peer = `pod${host}`;
    await ip(undefined, [`netns add ${net.netns}`]);
    await ip(this.#config.netns, [
      `link add ${peer} type veth peer name eth0 netns ${net.netns}`,
      `addr add ${gateway}/32 dev ${peer}`,
      `link set ${peer} up`,
      `route add ${net.address}/32 dev ${peer}`,
      ...(dualStack
        ? [
            `addr add ${gateway6}/128 dev ${peer} nodad`,
            `route add ${net.address6}/128 dev ${peer}`,
          ]
        : []),
    ]);
    await ip(net.netns, [
      'link set lo up',
      `addr add ${net.address}/32 dev eth0`,
      'link set eth0 up',
      `route add ${gateway}/32 dev eth0 scope link`,
      `route add default via ${gateway} dev eth0`,
      ...(dualStack
        ? [
            `addr add ${net.address6}/128 dev eth0 nodad`,
            `route add ${gateway6}/128 dev eth0`,
            `route add default via ${gateway6} dev eth0`,
          ]
        : []),
    ]);
    // What containerd does, so that DNS servers need no capability for port 53.
    await sysctl(net.netns, { 'net.ipv4.ip_unprivileged_port_start': '0', ...sysctls });
    return net;
  }

  /** Undoes `make`; what is gone already is no error. */
  async remove(net: PodNet): Promise<void> {
    const host = Number(net.address.split('.')[3]);
    await attempt(['ip', '-n', this.#config.netns, 'link', 'del', `pod${host}`]);
    await attempt(['ip', 'netns', 'del', net.netns]);
    this.#used.delete(host);
  }

  /** Goes round, so that an address is not used again at once, as host-local of CNI does. */
  #take(): number {
    for (let tries = FIRST; tries <= LAST; tries++) {
      const host = this.#next;
      this.#next = host === LAST ? FIRST : host + 1;
      if (this.#used.has(host)) continue;
      this.#used.add(host);
      return host;
    }
    throw new Error(`No address is left for a pod in ${this.#config.podCidr}`);
  }

  #net(host: number): PodNet {
    const { prefix, node, dualStack } = this.#config;
    return {
      netns: `${prefix}-${node}-${host}`,
      address: this.#address(host),
      address6: dualStack ? this.#address6(host) : '',
    };
  }

  #address(host: number): string {
    return this.#config.podCidr.replace(/\d+\/\d+$/, String(host));
  }

  #address6(host: number): string {
    return this.#config.podCidr6.replace(/::\/\d+$/, `::${host.toString(16)}`);
  }
}
