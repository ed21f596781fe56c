/**
 * One pod from its first sight to its last:
 *
 *   network, volumes ─► init containers, one after the other ─► containers, restarted as the policy says ─► end
 *        └── missing object: tried again        any failure that cannot be mended: Failed, with an event
 *
 * Deletion ends it from any state: preStop, SIGTERM, SIGKILL, then the object is removed for good.
 */

import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Api, ApiError, isNetwork } from '../api.ts';
import { Container, now, type Prepared } from './container.ts';
import { environmentOf, expand, type ServiceObject } from './env.ts';
import type { PodNet, PodNetworks } from './network.ts';
import { refuseUnknown } from './refuse.ts';
import { identityOf, type Mount } from './root.ts';
import { phaseOf, PodStatus } from './status.ts';
import {
  type ContainerSpec,
  type Image,
  type Images,
  type KubeletConfig,
  type Pod,
  PodError,
} from './types.ts';
import { type DataObject, PodVolumes } from './volumes.ts';

export interface PodContext {
  readonly config: KubeletConfig;
  readonly api: Api;
  readonly networks: PodNetworks;
  find(kind: 'configMap' | 'secret', namespace: string, name: string): DataObject | undefined;
  log(text: string): void;
}

const RETRY_MS = 250;
/** The real kubelet waits 10 s and at most 300 s; a test has less time. The first restart is at once, as there. */
const BACKOFF_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;

export class PodWorker {
  readonly folder: string;
  readonly #context: PodContext;
  readonly #status = new PodStatus();
  readonly #volumes: PodVolumes;
  readonly #startTime = now();
  #pod: Pod;
  #net: PodNet | undefined;
  #containers: Container[] = [];
  #initContainers: Container[] = [];
  #initialized = false;
  #failure: { reason: string; message: string } | undefined;
  #ending: Promise<void> | undefined;
  /** The object is gone: there is nothing to report to. */
  #gone = false;
  #dirty = false;
  #reporting = false;
  #lastEvent = '';

  constructor(pod: Pod, context: PodContext) {
    this.#pod = pod;
    this.#context = context;
    const { config } = context;
    this.folder = join(config.work, 'pods', `${pod.metadata.uid}`);
    mkdirSync(join(this.folder, 'volumes'), { recursive: true });
    this.#volumes = new PodVolumes({
      api: context.api,
      pod: () => this.#pod,
      folder: join(this.folder, 'volumes'),
      nodeRoot: join(config.work, 'nodes', config.node),
      hostIp: config.address,
      ...this.#lazyIps(),
      find: (kind, name) => context.find(kind, this.#namespace, name),
    });
  }

  /** A getter that looks when it is asked: the address comes later than the volumes. */
  #lazyIps(): { readonly podIps: readonly string[] } {
    const ips = (): readonly string[] => this.#podIps;
    return {
      get podIps() {
        return ips();
      },
    };
  }

  get ended(): boolean {
    return this.#gone;
  }

  /** Lives until the containers have ended for good; never rejects. */
  async run(): Promise<void> {
    try {
      refuseUnknown(this.#pod);
      await this.#makeNetwork();
      this.#makeContainers();
      this.#report();
      await this.#prepareVolumes();
      for (const container of this.#initContainers) await this.#untilGood(container);
      this.#initialized = true;
      this.#report();
      await Promise.all(this.#containers.map((container) => this.#keep(container)));
    } catch (error) {
      if (this.#ending !== undefined) return;
      const { reason, message } =
        error instanceof PodError ? error : new PodError('KubeletDefect', String(error));
      this.#context.log(
        `${this.#name}: ${reason}: ${error instanceof Error ? error.stack : message}`,
      );
      this.#failure = { reason, message };
      this.#event('Warning', reason, message);
      await Promise.all(this.#containers.map((container) => container.stop(0)));
    }
    this.#report();
  }

  /** A newer version of the object. */
  update(pod: Pod): void {
    this.#pod = pod;
    if (this.#status.differs(pod)) this.#report();
    if (pod.metadata.deletionTimestamp !== undefined) {
      const grace = pod.metadata.deletionGracePeriodSeconds ?? 30;
      this.#ending ??= this.#end(grace);
      if (grace === 0) for (const container of this.#all) container.signal('SIGKILL');
    }
  }

  /** The object is gone, so the containers must be. */
  drop(): void {
    this.#gone = true;
    this.#ending ??= this.#end(0);
  }

  /** A ConfigMap or Secret changed, or time passed. */
  refresh(kind?: 'configMap' | 'secret', name?: string): void {
    if (this.#ending !== undefined || !this.#initialized) return;
    const due = kind === undefined ? this.#volumes.stale : this.#volumes.uses(kind, name ?? '');
    if (!due) return;
    this.#volumes.refresh().catch((error: unknown) => {
      // Files stay as they were; the next event or tick tries again.
      this.#event('Warning', 'FailedMount', String(error));
    });
  }

  get #all(): readonly Container[] {
    return [...this.#initContainers, ...this.#containers];
  }

  get #name(): string {
    return `${this.#namespace}/${this.#pod.metadata.name}`;
  }

  get #namespace(): string {
    return this.#pod.metadata.namespace ?? '';
  }

  get #podIps(): readonly string[] {
    if (this.#net === undefined) return [];
    return [this.#net.address, this.#net.address6].filter((address) => address !== '');
  }

  async #makeNetwork(): Promise<void> {
    const { config, networks } = this.#context;
    const { spec } = this.#pod;
    if (spec.hostNetwork === true) {
      const address6 = config.dualStack ? config.address6 : '';
      this.#net = { netns: config.netns, address: config.address, address6 };
      return;
    }
    const sysctls = spec.securityContext?.sysctls ?? [];
    this.#net = await networks.make(
      Object.fromEntries(sysctls.map(({ name, value }) => [name, value])),
    );
  }

  #makeContainers(): void {
    const { spec } = this.#pod;
    const make = (container: ContainerSpec): Container => {
      const folder = join(this.folder, 'containers', container.name);
      mkdirSync(folder, { recursive: true });
      return new Container({
        spec: container,
        folder,
        netns: this.#net?.netns ?? '',
        address: this.#net?.address ?? '',
        graceSeconds: spec.terminationGracePeriodSeconds ?? 30,
        onChange: () => this.#report(),
        onUnhealthy: (probe) =>
          this.#event('Warning', 'Unhealthy', `${probe} probe of ${container.name} failed`),
      });
    };
    this.#initContainers = (spec.initContainers ?? []).map(make);
    this.#containers = spec.containers.map(make);
  }

  /** Waits for what the volumes need, as the kubelet does. */
  async #prepareVolumes(): Promise<void> {
    await this.#untilThere(() => this.#volumes.refresh());
  }

  async #untilThere<T>(make: () => Promise<T> | T): Promise<T> {
    for (;;) {
      if (this.#ending !== undefined) throw new PodError('Killing', 'The pod is being deleted');
      try {
        return await make();
      } catch (error) {
        const later = error instanceof PodError ? error.reason !== 'NotUnderstood' : isLater(error);
        if (!later) throw error;
        const reason = error instanceof PodError ? error.reason : 'FailedMount';
        this.#event('Warning', reason, (error as Error).message);
        for (const container of this.#containers) {
          if (reason !== 'FailedMount') container.wait(reason, (error as Error).message);
        }
        await sleep(RETRY_MS);
      }
    }
  }

  async #launch(container: Container): Promise<number> {
    const prepared = await this.#untilThere(() => this.#prepare(container));
    if (this.#ending !== undefined) throw new PodError('Killing', 'The pod is being deleted');
    return await container.run(prepared);
  }

  async #untilGood(container: Container): Promise<void> {
    for (let failures = 0; ; failures++) {
      const code = await this.#launch(container);
      if (code === 0) return;
      if (this.#pod.spec.restartPolicy === 'Never') {
        throw new PodError('InitContainerFailed', `${container.spec.name} ended with ${code}`);
      }
      await this.#backOff(container, failures);
    }
  }

  async #keep(container: Container): Promise<void> {
    for (let failures = 0; ; failures++) {
      const started = performance.now();
      const code = await this.#launch(container);
      const policy = this.#pod.spec.restartPolicy ?? 'Always';
      if (policy === 'Never' || (policy === 'OnFailure' && code === 0)) return;
      if (this.#ending !== undefined) return;
      if (performance.now() - started > 2 * BACKOFF_MAX_MS) failures = 0;
      await this.#backOff(container, failures);
    }
  }

  async #backOff(container: Container, failures: number): Promise<void> {
    const delay = failures === 0 ? 0 : Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** (failures - 1));
    if (delay > 0) {
      container.wait('CrashLoopBackOff', `back-off ${delay} ms restarting ${container.spec.name}`);
      this.#event(
        'Warning',
        'BackOff',
        `Back-off restarting failed container ${container.spec.name}`,
      );
    } else if (container.state.kind === 'terminated') container.lastState = container.state;
    const end = performance.now() + delay;
    while (performance.now() < end && this.#ending === undefined) await sleep(50);
    container.restarts++;
  }

  async #prepare(container: Container): Promise<Prepared> {
    const { config } = this.#context;
    const { spec } = container;
    const { hostname, securityContext } = this.#pod.spec;
    const [imageName, image] = this.#imageOf(spec.image);
    container.image = imageName;
    const identity = identityOf(securityContext, spec.securityContext, image);
    const nonRoot = spec.securityContext?.runAsNonRoot ?? securityContext?.runAsNonRoot;
    if (nonRoot === true && identity.user === 0) {
      throw new PodError(
        'CreateContainerConfigError',
        'runAsNonRoot is set, and the image runs as root',
      );
    }
    const env = environmentOf(spec, {
      pod: this.#pod,
      image,
      podIps: this.#podIps,
      hostIp: config.address,
      kubernetesService: config.kubernetesService,
      services: await this.#services(),
      lookup: (kind, name) => this.#texts(kind, name),
    });
    const words = (list: readonly string[]): readonly string[] =>
      list.map((word) => expand(word, env));
    const argv = [
      ...(spec.command === undefined ? image.entrypoint : words(spec.command)),
      ...(spec.args === undefined
        ? spec.command === undefined
          ? (image.cmd ?? [])
          : []
        : words(spec.args)),
    ];
    const logFile = join(
      config.work,
      'logs',
      `${this.#namespace}_${this.#pod.metadata.name}_${spec.name}.log`,
    );
    return {
      base: join(config.work, image.root === undefined ? 'base' : 'bare'),
      helpers: join(config.work, 'helpers'),
      image,
      mounts: this.#mounts(spec, image),
      hostname: hostname ?? this.#pod.metadata.name,
      argv,
      env,
      workingDir: spec.workingDir ?? image.workingDir ?? '/',
      identity,
      record: {
        pod: this.#pod.metadata.name,
        namespace: this.#namespace,
        uid: this.#pod.metadata.uid ?? '',
        container: spec.name,
        node: config.node,
        netns: this.#net?.netns ?? '',
        pid: 0,
        user: identity.user,
        group: identity.group,
        env,
        logFile,
      },
    };
  }

  #imageOf(name: string): readonly [string, Image] {
    const images = JSON.parse(readFileSync(this.#context.config.imagesFile, 'utf8')) as Images;
    const fits = Object.keys(images)
      .filter(
        (prefix) => name.startsWith(prefix) || name.replace(/^docker\.io\//, '').startsWith(prefix),
      )
      .sort((a, b) => b.length - a.length);
    const image = images[fits[0] ?? ''];
    if (image === undefined)
      throw new PodError('ErrImagePull', `The test bed has no image "${name}"`);
    return [fits[0] ?? '', image];
  }

  async #services(): Promise<readonly ServiceObject[]> {
    if (this.#pod.spec.enableServiceLinks === false) return [];
    const path = `/api/v1/namespaces/${this.#namespace}/services`;
    return (await this.#context.api.get<{ items: ServiceObject[] }>(path)).items;
  }

  #texts(kind: 'configMap' | 'secret', name: string): Readonly<Record<string, string>> | undefined {
    const data = this.#context.find(kind, this.#namespace, name)?.data;
    if (data === undefined || kind === 'configMap') return data;
    return Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
    );
  }

  #mounts(spec: ContainerSpec, image: Image): readonly Mount[] {
    const fromImage = (image.binds ?? []).map(({ from, to }) => ({ from, to, readOnly: true }));
    const fromPod = (spec.volumeMounts ?? []).map(({ name, mountPath, subPath, readOnly }) => {
      const volume = this.#volumes.folderOf(name);
      const data =
        subPath !== undefined && existsSync(join(volume, '..data', subPath)) ? '..data' : '';
      const from = join(volume, data, subPath ?? '');
      if (subPath !== undefined && !existsSync(from)) mkdirSync(from, { recursive: true });
      const kind = this.#pod.spec.volumes?.find((volume) => volume.name === name);
      const writable = kind?.emptyDir !== undefined || kind?.hostPath !== undefined;
      return { from, to: mountPath, readOnly: readOnly === true || !writable };
    });
    const system = this.#etc().map(({ from, to }) => ({ from, to, readOnly: false }));
    // An outer folder is mounted before what lies in it.
    const sorted = [...fromImage, ...fromPod].sort((a, b) => a.to.length - b.to.length);
    return [...system, ...sorted].map((mount) => ({
      ...mount,
      file: statSync(mount.from).isFile(),
    }));
  }

  #etc(): readonly { readonly from: string; readonly to: string }[] {
    const { config } = this.#context;
    const { metadata, spec } = this.#pod;
    const clusterFirst =
      spec.dnsPolicy === 'ClusterFirstWithHostNet' ||
      (spec.dnsPolicy === 'ClusterFirst' && spec.hostNetwork !== true);
    const search = `search ${this.#namespace}.svc.cluster.local svc.cluster.local cluster.local`;
    const resolv = clusterFirst
      ? `${search}\nnameserver ${config.clusterDns}\noptions ndots:5\n`
      : `nameserver ${config.nodeDns}\n`;
    const name = spec.hostname ?? metadata.name;
    const hosts = [
      '127.0.0.1\tlocalhost',
      '::1\tlocalhost',
      ...this.#podIps.map((ip) => `${ip}\t${name}`),
      ...(spec.hostAliases ?? []).map(({ ip, hostnames = [] }) => `${ip}\t${hostnames.join('\t')}`),
    ];
    const files = { 'resolv.conf': resolv, hosts: `${hosts.join('\n')}\n`, hostname: `${name}\n` };
    return Object.entries(files).map(([file, text]) => {
      const from = join(this.folder, file);
      if (!existsSync(from)) writeFileSync(from, text, { mode: 0o644 });
      return { from, to: `/etc/${file}` };
    });
  }

  async #end(graceSeconds: number): Promise<void> {
    this.#event('Normal', 'Killing', 'Stopping containers');
    for (const container of this.#all) container.endLiveness();
    await Promise.all(this.#all.map((container) => container.stop(graceSeconds)));
    // The last status tells how the containers ended; then the object may go.
    if (!this.#gone) await this.#push();
    const { api, config, networks } = this.#context;
    const { name, namespace, uid } = this.#pod.metadata;
    while (!this.#gone) {
      try {
        const options = { gracePeriodSeconds: 0, preconditions: { uid } };
        await api.remove(`/api/v1/namespaces/${namespace}/pods/${name}`, options);
        this.#gone = true;
      } catch (error) {
        if (error instanceof ApiError && (error.status === 404 || error.status === 409))
          this.#gone = true;
        else await sleep(RETRY_MS);
      }
    }
    if (this.#net !== undefined && this.#net.netns !== config.netns)
      await networks.remove(this.#net);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Reports soon; what changes meanwhile goes along. */
  #report(): void {
    this.#dirty = true;
    if (this.#reporting || this.#gone) return;
    this.#reporting = true;
    void this.#flush();
  }

  async #flush(): Promise<void> {
    while (this.#dirty && !this.#gone) {
      this.#dirty = false;
      if (!(await this.#push())) {
        this.#dirty = true;
        await sleep(RETRY_MS);
      }
    }
    this.#reporting = false;
  }

  async #push(): Promise<boolean> {
    const { api, config } = this.#context;
    const { name, namespace, uid } = this.#pod.metadata;
    const input = {
      containers: this.#containers,
      initContainers: this.#initContainers,
      podIps: this.#podIps,
      hostIp: config.address,
      startTime: this.#startTime,
      initialized: this.#initialized,
      restartPolicy: this.#pod.spec.restartPolicy ?? 'Always',
      failure: this.#failure,
    };
    try {
      const patch = { metadata: { uid }, status: this.#status.of(input) };
      await api.patch(
        `/api/v1/namespaces/${namespace}/pods/${name}/status`,
        patch,
        'strategic-merge',
      );
      return true;
    } catch (error) {
      // A pod of the same name and another uid is a conflict: this one is gone.
      if (error instanceof ApiError && (error.status === 404 || error.status === 409)) return true;
      this.#context.log(`${this.#name}: cannot report ${phaseOf(input)}: ${String(error)}`);
      return false;
    }
  }

  /** Events are for people; one that is lost is no harm, and one that repeats itself is not sent again. */
  #event(type: 'Normal' | 'Warning', reason: string, message: string): void {
    const print = `${reason} ${message}`;
    if (print === this.#lastEvent) return;
    this.#lastEvent = print;
    const { api, config } = this.#context;
    const { name, uid } = this.#pod.metadata;
    const time = now();
    api
      .create(`/api/v1/namespaces/${this.#namespace}/events`, {
        metadata: { generateName: `${name}.`, namespace: this.#namespace },
        involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: this.#namespace, name, uid },
        type,
        reason,
        message: message.slice(0, 1_000),
        source: { component: 'kubelet', host: config.node },
        firstTimestamp: time,
        lastTimestamp: time,
        count: 1,
      })
      .catch((error: unknown) => this.#context.log(`${this.#name}: event lost: ${String(error)}`));
  }
}

function isLater(error: unknown): boolean {
  return isNetwork(error) || error instanceof ApiError;
}
