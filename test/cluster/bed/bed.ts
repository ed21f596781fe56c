/**
 * The cluster as tests see it. `Bed.start()` makes one (local.ts), or takes that of KUBECONFIG where
 * MAESH_TEST_EXTERNAL=1 (external.ts); `bed.local` is undefined there, and tests that need it are skipped.
 */

import type { Api, KubeObject } from './api.ts';
import {
  attempt,
  type Outcome,
  run,
  type RunOptions,
  waitFor,
  type WaitOptions,
} from './command.ts';
import { ExternalGround } from './external.ts';
import type { BedOptions, ExecOptions, Ground, LocalControls, PodName } from './ground.ts';
import { LocalGround } from './local.ts';

export interface FetchOptions {
  /** How often; default 1. */
  readonly count?: number;
  /** How many at a time; default 1. */
  readonly concurrency?: number;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Default 5,000. */
  readonly timeoutMs?: number;
  /** One connection for many calls; default false: each has its own. */
  readonly keepAlive?: boolean;
}

/** An answer as the calling pod saw it; `error` is the code of the error where there was none. */
export interface Fetched {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly error: string;
  readonly ms: number;
}

export interface PodObject extends KubeObject {
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly {
      readonly restartCount: number;
      readonly ready: boolean;
    }[];
  };
}

/** For helm, which waits for what it installs, and for the CLI, which may do so. */
const LONG_MS = 900_000;

export class Bed {
  readonly #ground: Ground;

  private constructor(ground: Ground) {
    this.#ground = ground;
  }

  static async start(options: BedOptions = {}): Promise<Bed> {
    const external = process.env['MAESH_TEST_EXTERNAL'] === '1';
    return new Bed(external ? await ExternalGround.start() : await LocalGround.start(options));
  }

  /** The API server without any more ado; errors are ApiError. */
  get api(): Api {
    return this.#ground.api;
  }

  get local(): LocalControls | undefined {
    return this.#ground.local;
  }

  /** For tests that are of no use elsewhere. */
  get onlyLocal(): LocalControls {
    const { local } = this.#ground;
    if (local === undefined) throw new Error('Only the cluster of the bed can do this');
    return local;
  }

  /** Standard output; anything but exit code 0 is an error. */
  async kubectl(args: readonly string[], input?: string): Promise<string> {
    return await run([...this.#ground.kubectl, ...args], this.#where(input));
  }

  /** As `kubectl`, for what may fail. */
  async tryKubectl(args: readonly string[], input?: string): Promise<Outcome> {
    return await attempt([...this.#ground.kubectl, ...args], this.#where(input));
  }

  async helm(args: readonly string[], major: 3 | 4 = 4): Promise<string> {
    const options = { ...this.#where(), timeoutMs: LONG_MS };
    return await run([...this.#ground.helm(major), ...args], options);
  }

  /** Runs any command where the API server can be reached with the KUBECONFIG of the cluster: the maesh CLI, say. */
  async run(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    return await attempt(argv, {
      ...this.#where(),
      env: { ...this.#ground.env, ...this.#config(), ...env },
      timeoutMs: LONG_MS,
    });
  }

  /** What starts a program where the API server can be reached, and the environment that kubectl, helm and maesh need there. */
  where(): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> } {
    const { netns, env } = this.#ground;
    const argv = netns === undefined ? [] : ['nsenter', `--net=/run/netns/${netns}`, '--'];
    return { argv, env: { ...env, ...this.#config() } };
  }

  /** `kubectl apply` of the objects, in this order. */
  async apply(...objects: readonly object[]): Promise<void> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    await this.kubectl(['apply', '-f', '-'], JSON.stringify(list));
  }

  async exec(pod: PodName, argv: readonly string[], options?: ExecOptions): Promise<Outcome> {
    return await this.#ground.exec(pod, argv, options);
  }

  /** Calls a URL from within a pod of the test app. */
  async fetch(pod: PodName, url: string, options: FetchOptions = {}): Promise<readonly Fetched[]> {
    const call = JSON.stringify({ url, ...options });
    const { count = 1, timeoutMs = 5_000 } = options;
    const outcome = await this.exec(pod, ['node', '/app/app.ts', 'call', call], {
      timeoutMs: 10_000 + count * timeoutMs,
    });
    if (outcome.code !== 0) throw new Error(`Cannot call ${url} from ${pod}: ${outcome.stderr}`);
    return JSON.parse(outcome.stdout) as readonly Fetched[];
  }

  async logs(pod: PodName, container?: string): Promise<string> {
    return await this.#ground.logs(pod, container);
  }

  async killProcess(pod: PodName, signal: NodeJS.Signals, container?: string): Promise<void> {
    await this.#ground.killProcess(pod, signal, container);
  }

  /** Names of the nodes that take pods, in order. */
  async nodes(): Promise<readonly string[]> {
    type Node = KubeObject & { readonly spec: { readonly taints?: readonly { effect: string }[] } };
    const { items } = await this.api.get<{ items: readonly Node[] }>('/api/v1/nodes');
    return items
      .filter(({ spec }) =>
        (spec.taints ?? []).every(({ effect }) => effect === 'PreferNoSchedule'),
      )
      .map(({ metadata }) => metadata.name)
      .sort();
  }

  /** Pods of a namespace that a label selector finds, but those that are being deleted. */
  async pods(namespace: string, selector = ''): Promise<readonly PodObject[]> {
    const query = selector === '' ? '' : `?labelSelector=${encodeURIComponent(selector)}`;
    const path = `/api/v1/namespaces/${namespace}/pods${query}`;
    const { items } = await this.api.get<{ items: PodObject[] }>(path);
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  /** Waits until exactly so many are ready, and gives them. */
  async readyPods(
    namespace: string,
    selector: string,
    count: number,
    options?: WaitOptions,
  ): Promise<readonly PodObject[]> {
    return await this.waitFor(
      `${count} ready pods of ${selector} in ${namespace}`,
      async () => {
        const pods = (await this.pods(namespace, selector)).filter(isReady);
        return pods.length === count && pods;
      },
      options,
    );
  }

  /** Waits for a Deployment or DaemonSet (`deployment/web`) as `kubectl rollout status` does. */
  async rolledOut(namespace: string, workload: string, timeoutMs = 300_000): Promise<void> {
    const args = [
      '-n',
      namespace,
      'rollout',
      'status',
      workload,
      `--timeout=${timeoutMs / 1_000}s`,
    ];
    const options = { ...this.#where(), timeoutMs: timeoutMs + 10_000 };
    const { code, stderr } = await attempt([...this.#ground.kubectl, ...args], options);
    if (code !== 0) throw new Error(`${workload} in ${namespace} is not rolled out: ${stderr}`);
  }

  /** Asks every 100 ms until the answer is neither undefined nor false. Errors count as "not yet". */
  async waitFor<T>(
    what: string,
    question: () => T | Promise<T>,
    options?: WaitOptions,
  ): Promise<Exclude<T, undefined | false>> {
    return await waitFor(what, question, options);
  }

  async stop(): Promise<void> {
    await this.#ground.stop();
  }

  #config(): Readonly<Record<string, string>> {
    const flag = '--kubeconfig=';
    const file = this.#ground.kubectl.find((arg) => arg.startsWith(flag))?.slice(flag.length);
    return file === undefined ? {} : { KUBECONFIG: file };
  }

  #where(input?: string): RunOptions {
    const { netns, env } = this.#ground;
    return {
      env,
      ...(netns === undefined ? {} : { netns }),
      ...(input === undefined ? {} : { input }),
    };
  }
}

export function isReady({ status }: PodObject): boolean {
  return (
    status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
  );
}
