/**
 * Controllers and agents as `maesh controller` and `maesh agent` run them, in this process, against an API server that a
 * test owns. What else a cluster does is done here: cluster IPs lead to the proxy ports of 127.0.0.1, the Service of the
 * controllers leads to one of them, and every part has a way of its own to the API server, which can be cut.
 */

import { Resolver } from 'node:dns/promises';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runController } from '../../../src/run/controller/run-controller.ts';
import type { ControllerSettings } from '../../../src/run/controller/settings.ts';
import { FakeApiServer } from '../../../src/kube/api/api-server.fixture.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../../src/model/settings.ts';
import { runAgent } from '../../../src/run/agent/run-agent.ts';
import type { NodeSettings } from '../../../src/run/agent/settings.ts';
import { type Answer, call } from '../../e2e/support/call.ts';
import { EndpointServer } from '../../e2e/support/endpoint.ts';
import { until } from '../../e2e/support/until.ts';
import { namespace, node, pod, service, slice } from './objects.ts';
import { Part } from './part.ts';
import { ownPorts, PORTS_EACH } from './ports.ts';
import { agentProcess, controllerProcess, type ProcessOptions } from './process.ts';
import { QuickClock } from './quick-clock.ts';
import { Relay } from './relay.ts';

export interface AgentStatus {
  readonly agent: string;
  readonly node: string;
  readonly sentVersion: number;
  readonly servedVersion: number;
}

export interface AgentOptions extends ProcessOptions {
  /** Default: one that the API server knows. */
  readonly token?: string;
  /** Folder of the last good copy; default: a new one. */
  readonly state?: string;
}

export interface ClusterOptions {
  /** Parts are children of `bin/maesh`; their time is real then. */
  readonly areProcesses?: boolean;
  /** Namespaces whose Secrets controllers may read. */
  readonly secretNamespaces?: readonly string[];
}

/** A shadow Service, as far as tests look at it. */
export interface Shadow {
  readonly name: string;
  readonly state: string;
  readonly clusterIP: string;
  /** Proxy port of its only port, wherever that stands. */
  readonly proxyPort: number;
}

const MESH = 'maesh';
const NODE = 'node-1';
const DOMAIN = 'maesh';
const TOKEN = 'agent.of.the-mesh';
/** Times as fast as real, where a test waits for a Lease to run out or a listener to leave. */
const HURRY = 20;
/** The same, while agents have time to come to a controller that just started and nothing is published: less, since they connect meanwhile. */
const HURRY_AT_START = 5;

export class Cluster {
  readonly api: FakeApiServer;
  readonly clock = new QuickClock();
  #rate = 1;
  /** The Service in front of the controllers. */
  readonly discovery: Relay;
  /** What the parts write to disk is below it. */
  readonly folder = mkdtempSync(join(tmpdir(), 'maesh-control-'));
  readonly #controllers: Controller[] = [];
  readonly #agents: Agent[] = [];
  readonly #endpoints: EndpointServer[] = [];
  #services = 0;
  readonly #relays: Relay[] = [];
  readonly #areProcesses: boolean;
  readonly #firstPort: number;
  readonly #secretNamespaces: readonly string[];

  private constructor(
    api: FakeApiServer,
    discovery: Relay,
    options: ClusterOptions & { readonly firstPort: number },
  ) {
    this.api = api;
    const { areProcesses = false, secretNamespaces = [], firstPort } = options;
    this.discovery = discovery;
    this.#firstPort = firstPort;
    this.#areProcesses = areProcesses;
    this.#secretNamespaces = secretNamespaces;
    api.served.add('events.k8s.io/v1/events');
    api.set('v1/namespaces', namespace('shop'));
    api.set('v1/nodes', node(NODE));
  }

  /** A cluster without a mesh; `stop()` it in any case. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const discovery = await Relay.start(() =>
      cluster.#controllers.filter(({ isServing }) => isServing).map(({ port }) => port),
    );
    const firstPort = await ownPorts();
    const api = await FakeApiServer.start();
    const cluster: Cluster = new Cluster(api, discovery, { ...options, firstPort });
    return cluster;
  }

  /** Runs a controller; its agents come to the first one that was started and still runs. */
  async controller(name: string): Promise<Controller> {
    const relay = await this.#wayToApi();
    const settings = this.#controllerSettings(name, this.#kubeconfig(name, relay));
    const env = { POD_NAME: name, POD_UID: `uid-of-${name}` };
    const controller = new Controller(
      relay,
      new Part(name, (io) =>
        this.#areProcesses
          ? controllerProcess(io, settings, env)
          : runController(settings, io, env, this.clock),
      ),
    );
    this.#controllers.push(controller);
    return controller;
  }

  /** Runs an agent of the only node. */
  async agent(
    name: string,
    { token = TOKEN, state = name, ...options }: AgentOptions = {},
  ): Promise<Agent> {
    const relay = await this.#wayToApi();
    if (token === TOKEN) this.api.reviews.set(token, reviewOf(name));
    const stateDir = join(this.folder, state);
    mkdirSync(stateDir, { recursive: true });
    const tokenFile = join(this.folder, `${name}.token`);
    writeFileSync(tokenFile, `${token}\n`);
    const kubeconfig = this.#kubeconfig(name, relay);
    const settings = this.#agentSettings(name, { kubeconfig, stateDir, tokenFile });
    const agent = new Agent(
      relay,
      new Part(name, (io) =>
        this.#areProcesses
          ? agentProcess(io, settings, options)
          : runAgent(settings, io, {}, this.clock),
      ),
    );
    this.#agents.push(agent);
    return agent;
  }

  /** A Service in front of one real server; returns that. `spec` is what it says beside its port and address. */
  async deploy(
    key: string,
    annotations: Readonly<Record<string, string>> = {},
    spec: Readonly<Record<string, unknown>> = {},
  ) {
    const [, name = ''] = key.split('/');
    const server = await EndpointServer.start(name, `127.1.90.${this.#endpoints.length + 1}`);
    this.#endpoints.push(server);
    this.expose(key, server, annotations, spec);
    return server;
  }

  /** A Service in front of a server that is there; as `deploy`. */
  expose(
    key: string,
    at: { readonly address: string; readonly port: number },
    annotations: Readonly<Record<string, string>> = {},
    spec: Readonly<Record<string, unknown>> = {},
  ): void {
    this.api.set('v1/pods', pod(`${key}-${at.address}`, at.address, NODE));
    const { ports = [] } = spec as { ports?: readonly { readonly protocol?: string }[] };
    const protocol = ports[0]?.protocol ?? 'TCP';
    this.api.set('discovery.k8s.io/v1/endpointslices', slice(key, [at], NODE, protocol));
    const object = service(key, `10.97.0.${++this.#services}`, annotations);
    this.api.set('v1/services', { ...object, spec: { ...object.spec, ...spec } });
  }

  /** Writes a Service with these annotations and no others. */
  annotate(key: string, annotations: Readonly<Record<string, string>>): void {
    const found = this.api
      .objects('v1/services')
      .find(({ metadata }) => `${metadata.namespace}/${metadata.name}` === key);
    const { clusterIP = '' } = (found?.['spec'] ?? {}) as { clusterIP?: string };
    this.api.set('v1/services', service(key, clusterIP, annotations));
  }

  /** null while there is none. */
  shadow(key: string): Shadow | null {
    for (const { metadata, spec } of this.api.objects('v1/services')) {
      const { annotations = {} } = metadata;
      if (annotations['maesh.dev/service'] !== key) continue;
      const { clusterIP, ports } = spec as { clusterIP: string; ports: { targetPort: number }[] };
      return {
        name: metadata.name,
        state: annotations['maesh.dev/state'] ?? '',
        clusterIP,
        proxyPort: ports[0]?.targetPort ?? 0,
      };
    }
    return null;
  }

  /** As a caller does: asks for the name, then dials the address that it gets. */
  async call(agent: Agent, host: string): Promise<Answer> {
    const [address = ''] = await agent.lookup(host);
    return this.dial(this.#proxyPortOf(address), host);
  }

  /** Calls a proxy port of the node. */
  dial(port: number, host: string): Promise<Answer> {
    return call({ address: '127.0.0.1', port, path: '/', headers: { host } });
  }

  /** Who holds the Lease of the leader; '' is nobody. */
  get leader(): string {
    return this.holders()['maesh-controller'] ?? '';
  }

  /** Who holds which Lease of the mesh, by its name. */
  holders(): Readonly<Record<string, string>> {
    const leases = this.api.objects('coordination.k8s.io/v1/leases');
    return Object.fromEntries(
      leases.map(({ metadata, spec }) => {
        const { holderIdentity = '' } = spec as { holderIdentity?: string };
        return [metadata.name, holderIdentity];
      }),
    );
  }

  /** Waits with the clock running fast. */
  async hurry<T>(what: string, ask: () => T | Promise<T>): Promise<NonNullable<T>> {
    this.#setRate(HURRY);
    try {
      return await this.#until(what, ask);
    } finally {
      this.#setRate(1);
    }
  }

  /** Waits, a little faster than real while a controller gives its agents time to come, and says what the parts said when it does not come about. */
  async until<T>(what: string, ask: () => T | Promise<T>): Promise<NonNullable<T>> {
    try {
      return await this.#until(what, () => {
        this.#setRate(this.#isStarting() ? HURRY_AT_START : 1);
        return ask();
      });
    } finally {
      this.#setRate(1);
    }
  }

  /** Until the agents of all controllers had time to come: what is new is published without a further wait. */
  async settled(): Promise<void> {
    await this.until('agents had time to come', () => !this.#isStarting());
  }

  /** Whether a controller does not say yet what its agents serve. */
  #isStarting(): boolean {
    const leases = this.api.objects('coordination.k8s.io/v1/leases');
    return leases.some(({ metadata }) => metadata.annotations?.['maesh.dev/progress'] === '');
  }

  #setRate(rate: number): void {
    if (rate === this.#rate) return;
    this.#rate = rate;
    this.clock.setRate(rate);
  }

  async #until<T>(what: string, ask: () => T | Promise<T>): Promise<NonNullable<T>> {
    try {
      return await until(what, ask, 60_000);
    } catch (error) {
      const logs = this.#parts().map(({ part }) => `--- ${part.name}\n${part.log}`);
      throw new Error(`${String(error)}\n${logs.join('\n')}`, { cause: error });
    }
  }

  /** Ends everything, as signals do. */
  async stop(): Promise<void> {
    await Promise.all(this.#parts().map(({ part }) => part.end()));
    for (const server of this.#endpoints) server.stop();
    await Promise.all([this.discovery, ...this.#relays].map((relay) => relay.stop()));
    await this.api.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #controllerSettings(identity: string, kubeconfig: string): ControllerSettings {
    const from = this.#firstPort;
    return {
      kubeconfig,
      namespace: MESH,
      identity,
      scope: { watchNamespaces: [], ignoreNamespaces: [MESH], isOptIn: false },
      secretNamespaces: this.#secretNamespaces,
      defaultMode: 'http',
      proxyPorts: { from, to: from + PORTS_EACH - 1 },
      discovery: { host: '127.0.0.1', port: 0 },
      probe: null,
      admin: { host: '127.0.0.1', port: 0 },
      domains: [DOMAIN],
      dnsMode: 'off',
      clusterDomain: 'cluster.local',
      logLevel: 'info',
      logFormat: 'json',
    };
  }

  #agentSettings(
    pod: string,
    files: Pick<NodeSettings, 'kubeconfig' | 'stateDir' | 'tokenFile'>,
  ): NodeSettings {
    return {
      ...files,
      namespace: MESH,
      pod,
      node: NODE,
      controller: { host: '127.0.0.1', port: this.discovery.port },
      identityMaxAgeMs: 60_000,
      dns: { host: '127.0.0.1', port: 0 },
      domains: [DOMAIN],
      dnsTtlSeconds: 5,
      admin: { host: '127.0.0.1', port: 0 },
      threads: 1,
      drainDelayMs: 0,
      drainTimeoutMs: 2_000,
      logLevel: 'info',
      logFormat: 'json',
      proxy: DEFAULT_PROXY_SETTINGS,
    };
  }

  #parts(): readonly (Controller | Agent)[] {
    return [...this.#agents, ...this.#controllers];
  }

  /** What kube-proxy does. */
  #proxyPortOf(clusterIP: string): number {
    for (const { spec } of this.api.objects('v1/services')) {
      const { clusterIP: own, ports } = spec as {
        clusterIP: string;
        ports: { targetPort: number }[];
      };
      if (own === clusterIP) return ports[0]?.targetPort ?? 0;
    }
    throw new Error(`No Service has the address "${clusterIP}"`);
  }

  async #wayToApi(): Promise<Relay> {
    const port = Number(new URL(this.api.url).port);
    const relay = await Relay.start(() => [port]);
    this.#relays.push(relay);
    return relay;
  }

  #kubeconfig(name: string, relay: Relay): string {
    const file = join(this.folder, `${name}.kubeconfig`);
    const config = {
      'current-context': 'test',
      contexts: [{ name: 'test', context: { cluster: 'test' } }],
      clusters: [{ name: 'test', cluster: { server: `http://127.0.0.1:${relay.port}` } }],
    };
    writeFileSync(file, JSON.stringify(config));
    return file;
  }
}

export class Controller {
  readonly api: Relay;
  readonly part: Part;
  #isGone = false;

  constructor(api: Relay, part: Part) {
    this.api = api;
    this.part = part;
  }

  /** Port of discovery, 0 before it serves. */
  get port(): number {
    return this.part.port('Serving agents');
  }

  get isServing(): boolean {
    return this.port !== 0 && !this.#isGone && !this.part.hasEnded;
  }

  async agents(): Promise<readonly AgentStatus[]> {
    return (await this.part.json<{ agents: AgentStatus[] }>('/api/agents')).agents;
  }

  /** What SIGTERM does: no agent is led here any more. Resolves with the exit code. */
  end(): Promise<number> {
    this.#isGone = true;
    return this.part.end();
  }

  /** Nobody reaches it and it reaches nobody, as when its node loses power. */
  vanish(discovery: Relay): void {
    this.#isGone = true;
    this.api.cut();
    discovery.cut();
    discovery.mend();
  }
}

export class Agent {
  readonly api: Relay;
  readonly part: Part;

  constructor(api: Relay, part: Part) {
    this.api = api;
    this.part = part;
  }

  /** Port of its DNS, 0 before it answers names. */
  get dnsPort(): number {
    return this.part.port('Answering names');
  }

  /** Addresses of a name, none when there is no such name. */
  async lookup(host: string): Promise<readonly string[]> {
    const resolver = new Resolver({ timeout: 2_000, tries: 2 });
    resolver.setServers([`127.0.0.1:${this.dnsPort}`]);
    try {
      return await resolver.resolve4(host);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOTFOUND' || code === 'ENODATA') return [];
      throw error;
    }
  }
}

/** What the API server says of the token of an agent. */
export function reviewOf(pod: string): unknown {
  return {
    authenticated: true,
    audiences: ['maesh-discovery'],
    user: {
      username: `system:serviceaccount:${MESH}:maesh-agent`,
      extra: { 'authentication.kubernetes.io/pod-name': [pod] },
    },
  };
}
