/** A real Kubernetes on this machine: its parts as processes, nodes and pods as network namespaces. */

import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { makeBases } from './base.ts';
import { endBed, endStaleBeds, makeWork } from './cleanup.ts';
import { attempt, Daemon, type Outcome, waitFor } from './command.ts';
import { API_SERVER, ControlPlane } from './control-plane.ts';
import { COREDNS_IMAGE, COREFILE, corednsObjects } from './coredns.ts';
import {
  type BedOptions,
  cachesBelow,
  type ExecOptions,
  type Ground,
  type LocalControls,
  type NodeControls,
  type Part,
  type PodName,
} from './ground.ts';
import { execInside } from './kubelet/container.ts';
import { findRunning } from './kubelet/records.ts';
import type { ContainerRecord, Images, KubeletConfig } from './kubelet/types.ts';
import {
  CLUSTER_DNS,
  KUBERNETES_SERVICE,
  LAB_ADDRESS,
  LabNet,
  type NodeNet,
  POD_CIDR,
  POD_CIDR6,
} from './netns.ts';
import { APP_FILES, findTools, kubernetesMinor, ROOT, type Tools } from './tools.ts';
import { startWatchdog } from './watchdog.ts';

const NODES_MAX = 3;
/** From here on kube-proxy has its mode nftables without a feature gate. */
const NFTABLES_MINOR = 31;
/** Node n1 and n3 in one zone, n2 in another. */
const ZONES = ['a', 'b', 'a'];

export class LocalGround implements Ground {
  readonly api;
  readonly kubectl: readonly string[];
  readonly env;
  readonly netns: string;
  readonly local: LocalControls;
  readonly #work: string;
  readonly #tools: Tools;
  readonly #net: LabNet;
  readonly #plane: ControlPlane;
  readonly #options: BedOptions;
  readonly #proxies = new Map<string, Daemon>();
  readonly #dismissWatchdog: () => void;
  #images: Images;

  private constructor(options: BedOptions, work: string) {
    const { nodes = 2, dualStack = false } = options;
    if (nodes < 1 || nodes > NODES_MAX) throw new Error(`A bed has 1 to ${NODES_MAX} nodes`);
    this.#options = options;
    this.#work = work;
    this.env = cachesBelow(work);
    this.#tools = findTools();
    this.#net = new LabNet(basename(work), nodes);
    this.netns = this.#net.lab;
    this.#dismissWatchdog = startWatchdog(basename(work));
    this.#plane = new ControlPlane({ work, net: this.#net, tools: this.#tools, dualStack });
    this.api = this.#plane.api;
    this.kubectl = [this.#tools.kubectl, `--kubeconfig=${this.#plane.kubeconfig}`];
    this.#images = { ...this.#ownImages(), ...options.images };
    this.local = this.#controls();
  }

  /** Ready: the nodes are, and the cluster DNS answers. */
  static async start(options: BedOptions): Promise<LocalGround> {
    await endStaleBeds();
    const work = makeWork();
    const ground = new LocalGround(options, work);
    try {
      await ground.#start();
    } catch (error) {
      await ground.stop();
      throw error;
    }
    return ground;
  }

  helm(major: 3 | 4): readonly string[] {
    return [this.#tools.helm[major], `--kubeconfig=${this.#plane.kubeconfig}`];
  }

  async exec(pod: PodName, argv: readonly string[], options: ExecOptions = {}): Promise<Outcome> {
    const { container, timeoutMs } = options;
    const command = execInside(this.#record(pod, container), argv);
    return await attempt(command.argv, {
      env: command.env,
      bareEnv: true,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  }

  /** All that it wrote, also before a restart. */
  async logs(pod: PodName, container?: string): Promise<string> {
    const prefix = `${pod.replace('/', '_')}_${container ?? ''}`;
    const folder = join(this.#work, 'logs');
    const files = readdirSync(folder).filter((name) =>
      container === undefined ? name.startsWith(prefix) : name === `${prefix}.log`,
    );
    return files.map((name) => readFileSync(join(folder, name), 'utf8')).join('');
  }

  async killProcess(pod: PodName, signal: NodeJS.Signals, container?: string): Promise<void> {
    process.kill(this.#record(pod, container).pid, signal);
  }

  async stop(): Promise<void> {
    const keep = process.env['BED_KEEP'] === '1';
    this.api.close();
    await endBed(basename(this.#work), keep);
    this.#dismissWatchdog();
    if (keep) process.stderr.write(`The logs of the bed are in ${this.#work}\n`);
  }

  async #start(): Promise<void> {
    for (const folder of ['pods', 'logs']) mkdirSync(join(this.#work, folder), { mode: 0o755 });
    this.#saveImages();
    await Promise.all([this.#net.make(), makeBases(this.#work)]);
    await this.#plane.start();
    for (const node of this.#net.nodes) this.#startNode(node);
    const { corefile = COREFILE, dualStack = false } = this.#options;
    const version = this.#tools.corednsVersion;
    const objects = corednsObjects({ version, clusterIP: CLUSTER_DNS, corefile, dualStack });
    for (const object of objects) await this.api.create(pathOf(object as Described), object);
    await waitFor('the nodes to be ready', async () => await this.#nodesReady());
    await waitFor('the cluster DNS', async () => {
      const path = '/apis/apps/v1/namespaces/kube-system/deployments/coredns';
      const { status } = await this.api.get<{ status: { readyReplicas?: number } }>(path);
      return status.readyReplicas === 2;
    });
  }

  async #nodesReady(): Promise<boolean> {
    type Node = {
      status: { conditions?: { type: string; status: string }[] };
      spec: { taints?: object[] };
    };
    const { items } = await this.api.get<{ items: Node[] }>('/api/v1/nodes');
    const ready = items.filter(({ status, spec }) => {
      const condition = status.conditions?.find(({ type }) => type === 'Ready');
      return condition?.status === 'True' && (spec.taints ?? []).length === 0;
    });
    return ready.length === this.#net.nodes.length;
  }

  #startNode(node: NodeNet): void {
    const { dualStack = false } = this.#options;
    const config: KubeletConfig = {
      node: node.name,
      version: this.#tools.kubernetesVersion,
      labels: {
        'topology.kubernetes.io/region': 'r',
        'topology.kubernetes.io/zone': ZONES[Number(node.name.slice(1)) - 1] ?? '',
      },
      address: node.address,
      address6: node.address6,
      podCidr: node.podCidr,
      podCidr6: node.podCidr6,
      dualStack,
      netns: node.netns,
      prefix: basename(this.#work),
      work: this.#work,
      server: API_SERVER,
      caFile: this.#plane.caFile,
      keyFile: this.#plane.keyFile,
      token: this.#plane.token,
      imagesFile: join(this.#work, 'images.json'),
      clusterDns: CLUSTER_DNS,
      kubernetesService: KUBERNETES_SERVICE,
      nodeDns: LAB_ADDRESS,
    };
    const file = join(this.#work, `kubelet-${node.name}.json`);
    writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
    const main = join(import.meta.dirname, 'kubelet/main.ts');
    this.#daemon(node, 'kubelet', [
      process.execPath,
      '--max-semi-space-size=2',
      main,
      file,
    ]).start();
    const conntrack = [
      'max-per-core=0',
      'min=0',
      'tcp-timeout-established=0s',
      'tcp-timeout-close-wait=0s',
    ];
    const isOld = kubernetesMinor(this.#tools.kubernetesVersion) < NFTABLES_MINOR;
    const proxy = this.#daemon(node, 'kube-proxy', [
      this.#tools.kubernetes,
      'kube-proxy',
      `--kubeconfig=${this.#plane.kubeconfig}`,
      `--hostname-override=${node.name}`,
      `--proxy-mode=${isOld ? 'iptables' : 'nftables'}`,
      `--cluster-cidr=${dualStack ? `${POD_CIDR},${POD_CIDR6}` : POD_CIDR}`,
      ...conntrack.map((flag) => `--conntrack-${flag}`),
    ]);
    this.#proxies.set(node.name, proxy);
    proxy.start();
  }

  #daemon({ name, netns }: NodeNet, part: string, argv: readonly string[]): Daemon {
    const logFile = join(this.#work, `${part}-${name}.log`);
    return new Daemon({ name: `${part} of ${name}`, argv, netns, logFile });
  }

  /** Where the container is; without a name, the pod's first that is in a record. */
  #record(pod: PodName, container?: string): ContainerRecord {
    const record = findRunning(this.#work, pod, container);
    if (record === undefined) throw new Error(`No container ${container ?? ''} of pod ${pod} runs`);
    return record;
  }

  #ownImages(): Images {
    const node = { from: process.execPath, to: '/app/node' };
    const app = APP_FILES.map((file) => ({
      from: join(ROOT, 'test/cluster', file),
      to: `/app/${file}`,
    }));
    return {
      [COREDNS_IMAGE]: {
        binds: [{ from: this.#tools.coredns, to: '/coredns' }],
        entrypoint: ['/coredns'],
        user: 65_532,
        group: 65_532,
      },
      'test/app:': {
        binds: [node, ...app],
        entrypoint: ['/app/node', '/app/app.ts'],
        env: { PATH: '/app:/usr/bin:/bin' },
        user: 65_532,
        group: 65_532,
      },
    };
  }

  #saveImages(): void {
    const file = join(this.#work, 'images.json');
    writeFileSync(`${file}.new`, JSON.stringify(this.#images));
    renameSync(`${file}.new`, file);
  }

  #controls(): LocalControls {
    const plane = this.#plane;
    const part = (daemon: Daemon, ready: () => Promise<void> = async () => undefined): Part => ({
      get running() {
        return daemon.running;
      },
      kill: (signal) => daemon.kill(signal),
      start: async () => {
        daemon.start();
        await ready();
      },
    });
    const node = (name: string): NodeControls => {
      const proxy = this.#proxies.get(name);
      if (proxy === undefined) throw new Error(`The bed has no node ${name}`);
      return {
        cut: () => this.#net.cable(name, false),
        mend: () => this.#net.cable(name, true),
        kubeProxy: part(proxy),
      };
    };
    return {
      apiServer: part(plane.apiServer, () => plane.ready()),
      etcd: part(plane.etcd, () => plane.ready()),
      controllers: part(plane.controllers),
      scheduler: part(plane.scheduler),
      node,
      setImages: (images) => {
        this.#images = { ...this.#images, ...images };
        this.#saveImages();
      },
      compact: () => plane.compact(),
      work: this.#work,
    };
  }
}

interface Described {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly namespace?: string };
}

/** Where objects of the few kinds that the bed itself makes are created. */
function pathOf({ apiVersion, kind, metadata }: Described): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const where = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  return `${root}${where}/${kind.toLowerCase()}s`;
}
