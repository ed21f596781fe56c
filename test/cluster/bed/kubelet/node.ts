/** The Node object: made at the start, kept Ready, with a Lease as heartbeat. */

import { type Api, ApiError, type KubeObject } from '../api.ts';
import { now } from './container.ts';
import { ALLOCATABLE } from './env.ts';
import type { KubeletConfig } from './types.ts';

const LEASE_SECONDS = 40;
/** Below NODE_GRACE_SECONDS (control-plane.ts) by enough to lose a few. */
const HEARTBEAT_MS = 2_000;

interface NodeObject extends KubeObject {
  readonly status?: { readonly conditions?: readonly { type: string; status: string }[] };
}

export class NodeRegistration {
  readonly #config: KubeletConfig;
  readonly #api: Api;
  readonly #log: (text: string) => void;
  #logPort = 0;

  constructor(config: KubeletConfig, api: Api, log: (text: string) => void) {
    this.#config = config;
    this.#api = api;
    this.#log = log;
  }

  /** `logPort`: where the API server finds the logs of containers. Goes on until the process ends. */
  start(logPort: number): void {
    this.#logPort = logPort;
    const beat = (): void => {
      this.#beat().catch((error: unknown) => this.#log(`heartbeat: ${String(error)}`));
    };
    beat();
    setInterval(beat, HEARTBEAT_MS);
  }

  async #beat(): Promise<void> {
    const { node, labels, podCidr, podCidr6, dualStack } = this.#config;
    const path = `/api/v1/nodes/${node}`;
    let found = await this.#api.find<NodeObject>(path);
    found ??= await this.#api.create<NodeObject>('/api/v1/nodes', {
      metadata: {
        name: node,
        labels: {
          'kubernetes.io/hostname': node,
          'kubernetes.io/os': 'linux',
          'kubernetes.io/arch': 'amd64',
          ...labels,
        },
      },
      spec: { podCIDR: podCidr, podCIDRs: dualStack ? [podCidr, podCidr6] : [podCidr] },
    });
    const ready = found.status?.conditions?.find(({ type }) => type === 'Ready');
    if (ready?.status !== 'True') {
      await this.#api.patch(`${path}/status`, { status: this.#status() }, 'strategic-merge');
    }
    await this.#renew();
  }

  async #renew(): Promise<void> {
    const { node } = this.#config;
    const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
    const spec = {
      holderIdentity: node,
      leaseDurationSeconds: LEASE_SECONDS,
      renewTime: new Date().toISOString().replace('Z', '000Z'),
    };
    try {
      await this.#api.patch(`${leases}/${node}`, { spec });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      await this.#api.create(leases, { metadata: { name: node }, spec });
    }
  }

  #status(): object {
    const { node, version, address, address6, dualStack } = this.#config;
    const condition = (type: string, status: string, reason: string): object => ({
      type,
      status,
      reason,
      lastHeartbeatTime: now(),
      lastTransitionTime: now(),
    });
    return {
      addresses: [
        { type: 'InternalIP', address },
        ...(dualStack ? [{ type: 'InternalIP', address: address6 }] : []),
        { type: 'Hostname', address: node },
      ],
      capacity: ALLOCATABLE,
      allocatable: ALLOCATABLE,
      conditions: [
        condition('Ready', 'True', 'KubeletReady'),
        condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory'),
        condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure'),
        condition('PIDPressure', 'False', 'KubeletHasSufficientPID'),
      ],
      // So that the API server hands WebSockets through (exec-server.ts).
      declaredFeatures: ['ExtendWebSocketsToKubelet'],
      daemonEndpoints: { kubeletEndpoint: { Port: this.#logPort } },
      nodeInfo: {
        kubeletVersion: `v${version}`,
        operatingSystem: 'linux',
        architecture: 'amd64',
        osImage: 'test bed',
        kernelVersion: '',
        containerRuntimeVersion: 'bed://1',
        kubeProxyVersion: '',
        machineID: '',
        systemUUID: '',
        bootID: '',
      },
    };
  }
}
