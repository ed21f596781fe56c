/** The mesh in the cluster of the bed, installed as a user would, and what tests ask it. */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Bed, type PodObject } from '../bed/bed.ts';
import type { WaitOptions } from '../bed/command.ts';
import type { BedOptions, PodName } from '../bed/ground.ts';
import { buildRoot, maeshImages } from './image.ts';
import { untilNamed } from './names.ts';

export const MESH = 'maesh';
const CHART = join(import.meta.dirname, '../../../chart');
/** In a cluster that is there, `REPOSITORY:TAG` of an image that its nodes have or can get; default: that of the chart. */
const IMAGE = process.env['MAESH_TEST_IMAGE'] ?? '';

export interface ServicePort {
  readonly port: number;
  readonly targetPort: number;
  readonly protocol: string;
}

interface KubeService {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly clusterIP: string;
    readonly ports: readonly ServicePort[];
  };
}

/** What kind of sockets each thread of an agent has. */
const SOCKETS_INFO = /^maesh_sockets_info.*$/gm;

export class MeshBed {
  readonly bed: Bed;
  /** '' in a cluster that is there. */
  readonly imageFolder: string;

  private constructor(bed: Bed, imageFolder: string) {
    this.bed = bed;
    this.imageFolder = imageFolder;
  }

  /** A cluster with the image of maesh at hand; nothing is installed. One that is there has its own. */
  static async start(options: BedOptions = {}): Promise<MeshBed> {
    if (process.env['MAESH_TEST_EXTERNAL'] === '1') return new MeshBed(await Bed.start(), '');
    // The compiler works while the parts of the cluster wait for each other.
    const [bed, folder] = await Promise.all([Bed.start(options), buildRoot()]);
    bed.onlyLocal.setImages(maeshImages(folder));
    return new MeshBed(bed, folder);
  }

  async stop(): Promise<void> {
    await this.bed.stop();
    if (this.imageFolder !== '') rmSync(this.imageFolder, { recursive: true, force: true });
  }

  /** `helm install`, and waits until everything is ready. Agents have the sockets that `MAESH_SOCKETS` names, if it is set. */
  async install(...flags: readonly string[]): Promise<void> {
    const sockets = process.env['MAESH_SOCKETS'];
    const args = ['-n', MESH, '--create-namespace', ...imageFlags(), ...flags];
    if (sockets !== undefined) args.push('--set', `agent.extraArgs={--sockets=${sockets}}`);
    await this.bed.helm(['install', 'maesh', CHART, ...args]);
    await this.ready();
    if (sockets === undefined || sockets === 'auto') return;
    for (const { metadata } of await this.agents()) {
      const page = await this.metrics(`${MESH}/${metadata.name}`);
      const kinds = page.match(SOCKETS_INFO) ?? ['none'];
      assert.deepEqual(
        kinds.filter((line) => !line.includes(`kind="${sockets}"`)),
        [],
      );
    }
  }

  async upgrade(...flags: readonly string[]): Promise<void> {
    await this.bed.helm(['upgrade', 'maesh', CHART, '-n', MESH, '--reuse-values', ...flags]);
  }

  async uninstall(...flags: readonly string[]): Promise<void> {
    const args = ['-n', MESH, '--wait', '--timeout', '120s', ...flags];
    await this.bed.helm(['uninstall', 'maesh', ...args]);
  }

  async ready(): Promise<void> {
    await this.bed.rolledOut(MESH, 'deployment/maesh-controller');
    await this.bed.rolledOut(MESH, 'daemonset/maesh-agent');
  }

  controllers(): Promise<readonly PodObject[]> {
    return this.bed.pods(MESH, 'app.kubernetes.io/component=controller');
  }

  agents(): Promise<readonly PodObject[]> {
    return this.bed.pods(MESH, 'app.kubernetes.io/component=agent');
  }

  /** The agent of a node, as `namespace/name`. */
  async agentOn(node: string): Promise<string> {
    const found = (await this.agents()).find(({ spec }) => spec.nodeName === node);
    if (found === undefined) throw new Error(`No agent on ${node}`);
    return `${MESH}/${found.metadata.name}`;
  }

  /** The controller that leads, as `namespace/name`. */
  async leader(): Promise<string> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${MESH}/leases/maesh-controller`;
    const lease = await this.bed.api.get<{ spec: { holderIdentity?: string } }>(path);
    return `${MESH}/${lease.spec.holderIdentity ?? ''}`;
  }

  /** The admin API of a Pod of the mesh, through the API server. */
  async admin<T>(pod: string, path: string): Promise<T> {
    const [namespace = '', name = ''] = pod.split('/');
    return await this.bed.api.get<T>(
      `/api/v1/namespaces/${namespace}/pods/${name}:9000/proxy${path}`,
    );
  }

  async shadows(): Promise<readonly KubeService[]> {
    const path = `/api/v1/namespaces/${MESH}/services?labelSelector=app.kubernetes.io%2Fcomponent%3Dshadow`;
    return (await this.bed.api.get<{ items: KubeService[] }>(path)).items;
  }

  /** The shadow Service of `namespace/name`. */
  async shadow(key: string): Promise<KubeService | undefined> {
    const all = await this.shadows();
    return all.find(({ metadata }) => metadata.annotations?.['maesh.dev/service'] === key);
  }

  /** Waits until the controllers have published the mesh name of this Service. Who is asked for it hears of that a moment later. */
  async published(key: string, options?: WaitOptions): Promise<KubeService> {
    const question = async (): Promise<KubeService | undefined | false> => {
      const shadow = await this.shadow(key);
      return shadow?.metadata.annotations?.['maesh.dev/state'] === 'published' && shadow;
    };
    return await this.bed.waitFor(`Service ${key} to be published`, question, options);
  }

  /** Waits until `pod` is told the addresses of `hosts` whoever is asked: from then on a call that does not find one is a defect. */
  async named(pod: PodName, ...hosts: readonly string[]): Promise<void> {
    await untilNamed(this.bed, pod, { hosts, agents: () => this.agents(), isThere: true });
  }

  /** Waits until `pod` is told that there is no `host`, whoever is asked. */
  async forgotten(pod: PodName, host: string): Promise<void> {
    await untilNamed(this.bed, pod, { hosts: [host], agents: () => this.agents(), isThere: false });
  }

  /** Requests for a Service (`namespace/name`) that the agent of a node has carried since it started. */
  async carried(node: string, service: string): Promise<number> {
    const page = await this.metrics(await this.agentOn(node));
    return sumOf(page, 'maesh_requests_total', { service });
  }

  /** The metrics page of a Pod of the mesh. */
  async metrics(pod: string): Promise<string> {
    const path = pod.replace('/', '/pods/');
    return await this.bed.api.text(`/api/v1/namespaces/${path}:9000/proxy/metrics`);
  }

  /** Of the cluster DNS. */
  async corefile(): Promise<string> {
    const path = '/api/v1/namespaces/kube-system/configmaps/coredns';
    return (await this.bed.api.get<{ data: { Corefile: string } }>(path)).data.Corefile;
  }
}

function imageFlags(): readonly string[] {
  const [, repository, tag] = /^(.+):([^:/]+)$/.exec(IMAGE) ?? [];
  if (repository === undefined) return [];
  return ['--set', `image.repository=${repository}`, '--set-string', `image.tag=${tag}`];
}

/** Sum of the samples of a metric that have all these labels. `page` is in the text format of Prometheus. */
export function sumOf(
  page: string,
  metric: string,
  labels: Readonly<Record<string, string>>,
): number {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return page
    .split('\n')
    .filter((line) => line.startsWith(`${metric}{`) && parts.every((part) => line.includes(part)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
