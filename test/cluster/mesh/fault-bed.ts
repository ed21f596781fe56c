/** A mesh with an app and callers on both nodes, and what tests of faults ask of it. */

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { answerOf, answersOf, tell } from '../answer.ts';
import { APP_PORT, appObjects, callerPod, namespaceObjects, WAY_PORTS } from '../app-manifests.ts';
import type { Held } from '../app-ways.ts';
import type { Bed, Fetched, PodObject } from '../bed/bed.ts';
import { type Counts, type LoadPlan, type Loads, underLoad } from './loads.ts';
import { MESH, MeshBed } from './mesh.ts';

export const NS = 'shop';
const HOST = 'web.shop.maesh';
export const WEB = `http://${HOST}/`;
/** The same without the mesh. */
export const PLAIN_WEB = 'http://web.shop/';
/** A Service that no load calls, so that its requests can be counted one by one. */
const QUIET_HOST = 'other.shop.maesh';
const QUIET = `http://${QUIET_HOST}/`;
/** Runs in a pod: ends with 0 once all ports of a host have accepted. */
const CONNECT = `
const net = require('node:net');
const [host, ...ports] = process.argv.slice(1);
for (const port of ports) {
  const socket = net.connect({ host, port: Number(port) }, () => socket.destroy());
  socket.on('error', (error) => { console.log(port, error.code); process.exitCode = 1; });
}
`;
const CALLERS = { n1: 'caller-1', n2: 'caller-2' } as const;
export type NodeName = keyof typeof CALLERS;

export interface ToldService {
  readonly key: string;
  readonly policies: { readonly retry: { readonly attempts: number } | null };
}

export class FaultBed {
  readonly mesh: MeshBed;
  readonly bed: Bed;

  private constructor(mesh: MeshBed) {
    this.mesh = mesh;
    this.bed = mesh.bed;
  }

  /** Services `web` and `other`, and a caller on each node; the mesh is installed with these flags of Helm. */
  static async start(...flags: readonly string[]): Promise<FaultBed> {
    const mesh = await MeshBed.start({ nodes: 2 });
    const faults = new FaultBed(mesh);
    await mesh.bed.apply(
      ...namespaceObjects(NS),
      ...appObjects({ namespace: NS, name: 'web', replicas: 4, hasWays: true }),
      ...appObjects({ namespace: NS, name: 'other', replicas: 2 }),
      callerPod({ namespace: NS, name: 'caller-1', node: 'n1' }),
      callerPod({ namespace: NS, name: 'caller-2', node: 'n2' }),
    );
    await mesh.install(...flags);
    await mesh.bed.readyPods(NS, 'app=web', 4);
    await faults.allIsWell();
    return faults;
  }

  async stop(): Promise<void> {
    await this.mesh.stop();
  }

  /** Everything is ready, names are known to whoever is asked, and each node is carried by its own agent. */
  async allIsWell(): Promise<void> {
    await this.mesh.ready();
    await this.#named(HOST, QUIET_HOST);
    await this.untilAll(WEB, isWeb);
    await Promise.all(Object.values(CALLERS).map((caller) => this.#connects(caller)));
    for (const node of ['n1', 'n2'] as const) await this.carriedBy(node, node);
  }

  /** Waits until the other ports of `web` accept: a name is there with its first port, and kube-proxy writes once a second. */
  async #connects(caller: string): Promise<void> {
    const argv = ['node', '-e', CONNECT, HOST, ...Object.values(WAY_PORTS).map(String)];
    await this.bed.waitFor(`${caller} to reach all ports of ${HOST}`, async () => {
      const { code, stdout, stderr } = await this.bed.exec(`${NS}/${caller}`, argv);
      if (code !== 0) throw new Error(`${stdout}${stderr}`.trim());
      return true;
    });
  }

  /** Waits until callers of both nodes are told these names by whoever they ask. */
  async #named(...hosts: readonly string[]): Promise<void> {
    const callers = Object.values(CALLERS).map((caller) => `${NS}/${caller}`);
    await Promise.all(callers.map((caller) => this.mesh.named(caller, ...hosts)));
  }

  /** Waits until calls from `node` go through the agent on `via`, under the address of the caller. */
  async carriedBy(node: NodeName, via: NodeName): Promise<void> {
    const caller = CALLERS[node];
    const [pod] = await this.bed.pods(NS, `app=${caller}`);
    const question = async (): Promise<readonly Fetched[] | false> => {
      const before = await this.mesh.carried(via, `${NS}/other`);
      const seen = await this.bed.fetch(`${NS}/${caller}`, QUIET, { count: 8 });
      const after = await this.mesh.carried(via, `${NS}/other`);
      return seen.every(({ status }) => status === 200) && after - before === 8 && seen;
    };
    const what = `calls from ${node} through the agent on ${via}`;
    for (const { headers } of answersOf(await this.bed.waitFor(what, question)))
      assert.equal(headers['x-forwarded-for'], pod?.status.podIP);
  }

  /** `underLoad()` of `web` by its mesh name, where `plan` has nothing else. By a mesh name callers call in all ways, and know it on both nodes. */
  async loaded(
    t: TestContext,
    body: (loads: Loads) => Promise<void>,
    plan: Partial<LoadPlan> = {},
  ): Promise<Counts> {
    const { hostname } = new URL(plan.url ?? WEB);
    const hasWays = hostname.endsWith('.maesh');
    if (hasWays) await this.#named(hostname);
    return await underLoad(t, this.bed, { namespace: NS, url: WEB, hasWays, ...plan }, body);
  }

  /** What `caller` is answered, asked once: the name of the pod, or why there is none. */
  async asked(caller: string, url: string): Promise<string> {
    const [got] = await this.bed.fetch(`${NS}/${caller}`, url, { timeoutMs: 2_000 });
    if (got?.status !== 200) return got?.error || `status ${got?.status}`;
    return answerOf(got).pod;
  }

  /** Waits until all callers are answered so. Returns how long it took, in ms. */
  async untilAll(
    url: string,
    is: (answer: string) => boolean,
    timeoutMs?: number,
  ): Promise<number> {
    const startMs = performance.now();
    const wait = async (caller: string): Promise<void> => {
      let last = '';
      const question = async (): Promise<boolean> => is((last = await this.asked(caller, url)));
      await this.bed
        .waitFor(`${caller} and ${url}`, question, timeoutMs === undefined ? {} : { timeoutMs })
        .catch((error: unknown) => assert.fail(`${String(error)}; last: ${last}`));
    };
    await Promise.all(Object.values(CALLERS).map(wait));
    return Math.round(performance.now() - startMs);
  }

  /** A Service of its own for the pods of an app. */
  async service(name: string, app: string): Promise<void> {
    await this.bed.apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: NS },
      spec: { selector: { app }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
    });
  }

  /**
   * Starts it again, and all of Kubernetes that would else look for it again after half a minute to two: what is measured then is
   * what the mesh takes.
   */
  async startApiServer(): Promise<void> {
    const local = this.bed.onlyLocal;
    // Its hooks may take long on a busy machine; who asks again does not start it again.
    const start = async (): Promise<true> => local.apiServer.start().then(() => true);
    await this.bed.waitFor('the API server', start);
    const proxies = ['n1', 'n2'].map((name) => local.node(name).kubeProxy);
    for (const part of [local.controllers, local.scheduler, ...proxies]) {
      await part.kill();
      await part.start();
    }
  }

  /** The same for the pods that the app has now, with an EndpointSlice of its own: no controller of the cluster is needed. */
  async serviceOfSlice(name: string, app: string): Promise<void> {
    const pods = await this.bed.pods(NS, `app=${app}`);
    const endpoints = pods.map(({ status, spec }) => ({
      addresses: [status.podIP],
      nodeName: spec.nodeName,
      conditions: { ready: true },
    }));
    const labels = { 'kubernetes.io/service-name': name };
    await this.bed.apply(
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name, namespace: NS },
        spec: { ports: [{ name: 'http', port: 80, targetPort: APP_PORT }] },
      },
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: `${name}-by-hand`, namespace: NS, labels },
        addressType: 'IPv4',
        ports: [{ name: 'http', port: APP_PORT, protocol: 'TCP' }],
        endpoints,
      },
    );
  }

  async removeService(name: string): Promise<void> {
    await this.bed.kubectl(['-n', NS, 'delete', 'service', name]);
  }

  /** A Service comes, its endpoints change, it goes: each as callers of both nodes see it. */
  async updates(t: TestContext, name: string, timeoutMs?: number): Promise<void> {
    const url = `http://${name}.${NS}.maesh/`;
    await this.service(name, 'web');
    const made = await this.untilAll(url, isWeb, timeoutMs);
    await this.service(name, 'other');
    const changed = await this.untilAll(url, isOther, timeoutMs);
    await this.removeService(name);
    const gone = await this.untilAll(url, isNothing, timeoutMs);
    t.diagnostic(`${name}: named in ${made} ms, changed in ${changed} ms, gone in ${gone} ms`);
  }

  /** A stream of gRPC and a connection of TCP that have no end, from this pod: how each of them went. */
  async hold(caller: string): Promise<readonly Held[]> {
    const argv = ['node', '/app/app.ts', 'hold', JSON.stringify({ host: HOST, ...WAY_PORTS })];
    const pod = `${NS}/${caller}` as const;
    const { code, stdout, stderr } = await this.bed.exec(pod, argv, { timeoutMs: 300_000 });
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as readonly Held[];
  }

  /** Waits until all agents serve this of a Service. */
  async told(key: string, isSo: (service: ToldService) => boolean): Promise<void> {
    await this.bed.waitFor(`the agents to be told of ${key}`, async () => {
      for (const { metadata } of await this.mesh.agents()) {
        const path = `/api/snapshot?service=${key}`;
        const pod = `${MESH}/${metadata.name}`;
        const { services } = await this.mesh.admin<{ services: ToldService[] }>(pod, path);
        const found = services.find((service) => service.key === key);
        if (found === undefined || !isSo(found)) return false;
      }
      return true;
    });
  }

  /** Containers of the mesh that were started again. */
  async restarts(): Promise<number> {
    const pods = [...(await this.mesh.agents()), ...(await this.mesh.controllers())];
    return pods.reduce(
      (all, { status }) => all + (status.containerStatuses?.[0]?.restartCount ?? 0),
      0,
    );
  }

  /** Asked by a Pod, so also without an API server. */
  async assertReady(pods: readonly PodObject[]): Promise<void> {
    for (const { metadata, status } of pods) {
      const url = `http://${status.podIP}:9000/readyz`;
      const [got] = await this.bed.fetch(`${NS}/caller-1`, url);
      assert.equal(got?.status, 200, `${metadata.name}: ${tell(got)}`);
    }
  }

  /** As a person does with `kubectl replace`. */
  async replaceCorefile(text: string): Promise<void> {
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'coredns', namespace: 'kube-system' },
      data: { Corefile: text },
    };
    await this.bed.kubectl(['replace', '-f', '-'], JSON.stringify(object));
  }
}

export const isWeb = (answer: string): boolean => answer.startsWith('web-');
export const isOther = (answer: string): boolean => answer.startsWith('other-');
export const isNothing = (answer: string): boolean => answer === 'ENOTFOUND';
