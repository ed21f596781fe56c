/** One run of the controller's benchmark: makes the cluster, lives through the phases, and ends what it started. */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { recordAt, textAt } from '../../src/base/record.ts';
import { resourcePath } from '../../src/kube/api/path.ts';
import { AGENT, CA, CA_KEY, CONTROLLER } from '../../src/model/names.ts';
import { run, waitFor } from '../../test/cluster/bed/command.ts';
import type { Tools } from '../../test/cluster/bed/tools.ts';
import { freePorts } from '../../test/support/ports.ts';
import { processCpuMs } from '../sampling.ts';
import type { Child } from './child.ts';
import { type Cluster, startCluster } from './cluster.ts';
import {
  compile,
  type Controller,
  limitMemory,
  type MemoryLimit,
  startController,
  untilReady,
} from './controller-process.ts';
import {
  agentsOf,
  endpointSlice,
  MESH_NAMESPACE,
  seedOf,
  serviceKey,
  shadowSlices,
} from './objects.ts';
import type { Options } from './options.ts';
import type { Figures, Phase } from './report.ts';
import { difference, readRequests } from './requests.ts';
import { Shadows } from './shadows.ts';
import type { AgentsOrder, AgentsReport } from './worker.ts';

/** Of shadow Services that come more slowly than this, one waits in vain. */
const SHADOWS_PER_SECOND_MIN = 5;
const WAIT_MS = 120_000;
const AGENTS_TIMEOUT_MS = 300_000;
const PROGRESS_MS = 5_000;
/** Writes of this benchmark under way at a time. */
const CONCURRENCY = 40;
const TOKEN_SECONDS = 86_400;

interface Given {
  readonly options: Options;
  readonly folder: string;
  readonly tools: Tools;
  readonly progress: (text: string) => void;
}

/** For `figures()` once; `stop()` may be called at any time, and twice. */
export class Run {
  readonly #options: Options;
  readonly #folder: string;
  readonly #tools: Tools;
  readonly #progress: (text: string) => void;
  readonly #children: Child[] = [];
  readonly #memory: MemoryLimit;
  #agents: ChildProcess | null = null;
  #agentsReport: AgentsReport = { synced: 0, bytes: 0, lastError: '' };
  #shadows: Shadows | null = null;
  #stopping: Promise<void> | null = null;

  constructor({ options, folder, tools, progress }: Given) {
    this.#options = options;
    this.#folder = folder;
    this.#tools = tools;
    this.#progress = progress;
    this.#memory = limitMemory(options.memoryMiB);
  }

  async figures(): Promise<Figures> {
    const { services, endpoints, nodes, agents, published, changes } = this.#options;
    this.#progress('compile maesh');
    const main = await compile(this.#folder);
    const cluster = await startCluster({
      folder: this.#folder,
      tools: this.#tools,
      seed: seedOf(this.#options),
      onChild: (child) => void this.#children.push(child),
      progress: this.#progress,
    });
    await this.#install(main, cluster);
    const shadows = new Shadows(cluster.client);
    this.#shadows = shadows;
    shadows.start();
    const kubeconfig = cluster.configFor('controller', await tokenOf(cluster, CONTROLLER, {}));
    const [port = 0] = await freePorts(1);
    const options = {
      folder: this.#folder,
      main,
      kubeconfig,
      nodeFlags: this.#options.nodeFlags,
      memory: this.#memory,
      onChild: (child: Child) => void this.#children.push(child),
    };
    const before = readRequests(await cluster.raw('/metrics'));
    const first = await startController(options, port);
    const life = new Life(cluster, () => this.#agentsCpuSeconds());
    const phases: Phase[] = [];
    const phase = async (name: string, what: () => Promise<void>): Promise<void> => {
      phases.push(await life.phase(name, what));
    };
    life.follow(first.child);
    let [firstReadySeconds, announcedSeconds, publishedSeconds] = [0, 0, 0];
    const opening = published === services ? 'start' : 'first install';
    await phase(opening, async () => {
      firstReadySeconds = await untilReady(first);
      this.#progress(`the controller is ready after ${firstReadySeconds.toFixed(1)} s`);
      await this.#startAgents(cluster, port);
      [announcedSeconds, publishedSeconds] = await this.#untilPublished(shadows, first);
    });
    const after = readRequests(await cluster.raw('/metrics'));
    await phase('rest', () => this.#rest());
    if (this.#options.shadowEndpoints) {
      await phase('shadow endpoints', () => this.#writeShadowSlices(cluster));
    }
    await phase('burst', () => this.#burst(cluster));
    await phase('rest', () => this.#rest());

    await this.#end(first);
    const writesBefore = shadows.writes;
    const second = await startController(options, port);
    life.follow(second.child);
    let [restartReadySeconds, agentsBackSeconds] = [0, 0];
    await phase('restart', async () => {
      restartReadySeconds = await untilReady(second);
      this.#progress(`the controller is ready again after ${restartReadySeconds.toFixed(1)} s`);
      await this.#untilSynced(second.child);
      agentsBackSeconds = (performance.now() - second.startedMs) / 1_000;
    });
    await phase('rest', () => this.#rest());
    await this.#end(second);
    return {
      size: { services, endpoints, nodes, agents, published, changes },
      memoryLimit: this.#memory.text,
      phases,
      firstReadySeconds,
      announcedSeconds,
      publishedSeconds,
      restartReadySeconds,
      agentsBackSeconds,
      restartWrites: shadows.writes - writesBefore,
      requests: difference(before, after),
      refused: after.refused - before.refused,
    };
  }

  /** Ends all processes; resolves when they are gone. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    const stopped = this.#shadows?.stop();
    const agents = this.#agents;
    if (agents !== null && agents.exitCode === null && agents.signalCode === null) {
      const ended = once(agents, 'exit');
      agents.kill('SIGKILL');
      await ended;
    }
    await Promise.all(this.#children.map((child) => child.stop()));
    await stopped;
    this.#memory.release();
  }

  /** The rights, accounts and Services of the chart, by the command that users have for it. */
  async #install(main: string, { kubeconfig }: Cluster): Promise<void> {
    const install = ['install', '--no-wait', '--set', 'dns.mode=off', '--kubeconfig', kubeconfig];
    await run([process.execPath, main, ...install], { timeoutMs: WAIT_MS });
    this.#progress('the chart is installed');
  }

  async #startAgents(cluster: Cluster, port: number): Promise<void> {
    const agents = await inParallel(agentsOf(this.#options), async ({ name, node, uid }) => {
      const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name, uid };
      const spec = { audiences: ['maesh-discovery'], boundObjectRef };
      return { name, node, token: await tokenOf(cluster, AGENT, spec) };
    });
    const path = {
      version: 'v1',
      plural: 'configmaps',
      namespace: MESH_NAMESPACE,
      name: CA,
    };
    const ca = await waitFor('the certificate of the controller', async () => {
      const data = recordAt(await cluster.client.get(resourcePath(path)), 'data');
      return String(data[CA_KEY]);
    });
    const child = fork(join(import.meta.dirname, 'worker.ts'), { stdio: 'inherit' });
    this.#agents = child;
    child.on('message', (message: AgentsReport) => (this.#agentsReport = message));
    child.send({ port, ca, agents } satisfies AgentsOrder);
  }

  /** Seconds from the controller's start until all shadow Services were there, and until all were published. */
  async #untilPublished(
    shadows: Shadows,
    { child, startedMs }: Controller,
  ): Promise<[number, number]> {
    const { services } = this.#options;
    const seconds = (): number => (performance.now() - startedMs) / 1_000;
    const timeoutMs = WAIT_MS + (services / SHADOWS_PER_SECOND_MIN) * 1_000;
    let announced = 0;
    let toldMs = performance.now();
    await waitFor(
      `${services} published shadow Services`,
      () => {
        child.mustRun();
        const { count, published } = shadows;
        if (announced === 0 && count >= services) announced = seconds();
        if (performance.now() - toldMs > PROGRESS_MS) {
          toldMs = performance.now();
          const { rssMb, peakMb } = child.memory();
          this.#progress(
            `${count} shadow Services, ${published} published, ${this.#agentsReport.synced} agents; ` +
              `controller ${rssMb.toFixed(0)} MB, at most ${peakMb.toFixed(0)} MB`,
          );
        }
        return !child.isRunning || published >= services;
      },
      { timeoutMs },
    );
    child.mustRun();
    if (announced === 0) announced = seconds();
    return [announced, seconds()];
  }

  async #untilSynced(child: Child): Promise<void> {
    const { agents } = this.#options;
    const seen = this.#agentsReport;
    const isSynced = (): boolean => {
      child.mustRun();
      // Reports come every second: one from before the restart says nothing.
      return this.#agentsReport !== seen && this.#agentsReport.synced === agents;
    };
    try {
      await waitFor(`${agents} agents`, isSynced, { timeoutMs: AGENTS_TIMEOUT_MS });
    } catch (error) {
      const { synced, lastError } = this.#agentsReport;
      const text = `${synced} of ${agents} agents were served in time: ${lastError}`;
      throw new Error(text, { cause: error });
    }
  }

  async #rest(): Promise<void> {
    await sleep(this.#options.idleSeconds * 1_000);
  }

  /** Changes that come as fast as the API server takes them. */
  async #burst(cluster: Cluster): Promise<void> {
    const { changes, services } = this.#options;
    this.#progress(`${changes} EndpointSlices change`);
    const { bytes } = this.#agentsReport;
    await inParallel(
      Array.from({ length: changes }, (_, i) => i),
      async (i) => {
        const index = (i * 7_919) % services;
        const slice = endpointSlice(index, this.#options, 1 + Math.floor(i / services));
        const [namespace = ''] = serviceKey(index).split('/');
        const name = textAt(slice, 'metadata', 'name');
        const path = resourcePath({
          group: 'discovery.k8s.io',
          version: 'v1',
          plural: 'endpointslices',
          namespace,
          name,
        });
        await cluster.client.patch(path, { endpoints: recordAt(slice)['endpoints'] });
      },
    );
    if (this.#options.agents === 0 || changes === 0) return;
    await waitFor('agents to hear of it', () => this.#agentsReport.bytes > bytes);
  }

  /** Past the API, since the cluster's own controller makes some twenty a second. */
  async #writeShadowSlices(cluster: Cluster): Promise<void> {
    const { services } = this.#options;
    const path = { version: 'v1', plural: 'services', namespace: MESH_NAMESPACE };
    const options = this.#options;
    function* slices(): ReturnType<typeof shadowSlices> {
      const ports = [{ name: 'http', port: 10_000, protocol: 'TCP' }] as const;
      for (let i = 0; i < services; i += 1) yield* shadowSlices(i, options, ports);
    }
    const count = await cluster.store(slices());
    // The API server tells its watchers of each.
    await cluster.client.list(resourcePath(path), { query: { limit: 1 } });
    this.#progress(`${count} EndpointSlices of shadow Services are in etcd`);
    await this.#rest();
  }

  async #end({ child }: Controller): Promise<void> {
    const code = await child.stop('SIGTERM');
    if (code !== 0) throw new Error(`The controller ended with ${code}:\n${child.tail()}`);
  }

  #agentsCpuSeconds(): number {
    const pid = this.#agents?.pid;
    if (pid === undefined) return 0;
    return processCpuMs(pid) / 1_000;
  }
}

/** Cuts the life of a controller into phases. */
class Life {
  readonly #cluster: Cluster;
  readonly #agentsCpuSeconds: () => number;
  #controller: Child | null = null;

  constructor(cluster: Cluster, agentsCpuSeconds: () => number) {
    this.#cluster = cluster;
    this.#agentsCpuSeconds = agentsCpuSeconds;
  }

  follow(controller: Child): void {
    this.#controller = controller;
  }

  async phase(name: string, what: () => Promise<void>): Promise<Phase> {
    const controller = this.#controller;
    if (controller === null) throw new Error('no controller runs');
    const startedMs = performance.now();
    const before = this.#cpu(controller);
    controller.resetPeak();
    await what();
    const { rssMb, peakMb } = controller.memory();
    const seconds = (performance.now() - startedMs) / 1_000;
    const after = this.#cpu(controller);
    const cores = (part: keyof typeof after): number => (after[part] - before[part]) / seconds;
    return {
      name,
      seconds,
      peakMb,
      settledMb: rssMb,
      cores: {
        controller: cores('controller'),
        apiServer: cores('apiServer'),
        etcd: cores('etcd'),
        agents: cores('agents'),
      },
    };
  }

  #cpu(controller: Child): Phase['cores'] {
    const { apiServer, etcd } = this.#cluster;
    return {
      controller: controller.cpuSeconds(),
      apiServer: apiServer.cpuSeconds(),
      etcd: etcd.cpuSeconds(),
      agents: this.#agentsCpuSeconds(),
    };
  }
}

async function tokenOf({ client }: Cluster, account: string, spec: object): Promise<string> {
  const place = { version: 'v1', plural: 'serviceaccounts', namespace: MESH_NAMESPACE };
  const path = resourcePath({ ...place, name: account, subresource: 'token' });
  const answer = await client.create(path, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { ...spec, expirationSeconds: TOKEN_SECONDS },
  });
  return textAt(answer, 'status', 'token');
}

/** In order of the items, some at a time. */
async function inParallel<T, R>(
  items: readonly T[],
  what: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next;
      next += 1;
      results[index] = await what(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return results;
}
