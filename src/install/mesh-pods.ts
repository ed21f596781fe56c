/** The Pods of the mesh in a cluster, asked through the API server: a kubeconfig is all that it takes. */

import type { Clock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { OURS } from '../model/names.ts';
import { resourcePath } from '../kube/api/path.ts';
import { askPod } from './facts/ask-replica.ts';
import type { PodFact } from './facts/facts.ts';
import { podFact } from './facts/workload.ts';
import type { Api } from './names.ts';
import { inParallel, listAll } from './pages.ts';
import { remedyOf, unreachedKind, type UnreachedKind } from './unreached.ts';

/** Agents are asked so many at a time: each answer comes through the one API server. */
const ASKED_AT_ONCE_MAX = 16;
/** One agent gets this long to answer. */
const AGENT_TIMEOUT_MS = 5_000;
/** All of them together get this long; the rest is not asked any more. */
const ALL_AGENTS_TIMEOUT_MS = 20_000;

type Query = Readonly<Record<string, string>>;

interface Answer {
  readonly pod: PodFact;
  readonly ok: true;
  readonly value: unknown;
}

export interface Failed {
  readonly pod: PodFact;
  readonly ok: false;
  readonly why: string;
  readonly kind: UnreachedKind;
}

/** What a Pod answered, or why there is no answer. */
export type Answered = Answer | Failed;

export interface MeshPodsOptions {
  readonly api: Api;
  readonly clock: Clock;
  /** Namespace of the mesh. */
  readonly namespace: string;
}

export class MeshPods {
  readonly #options: MeshPodsOptions;
  /** Those that can be asked, by name of their node. */
  readonly controllers: readonly PodFact[];
  readonly agents: readonly PodFact[];

  constructor(options: MeshPodsOptions, pods: readonly PodFact[]) {
    this.#options = options;
    const running = pods
      .filter(({ node, trouble, isEnding }) => node !== '' && trouble === '' && !isEnding)
      .toSorted((a, b) => (a.node < b.node ? -1 : 1));
    this.controllers = running.filter(({ component }) => component === 'controller');
    this.agents = running.filter(({ component }) => component === 'agent');
  }

  /** Throws a `MeshError` when there is no mesh, or its Pods cannot be seen. */
  static async find(options: MeshPodsOptions): Promise<MeshPods> {
    const { api, namespace } = options;
    const path = resourcePath({ version: 'v1', plural: 'pods', namespace });
    let found: readonly unknown[];
    try {
      found = await listAll(api, path, { labelSelector: OURS });
    } catch (error) {
      if (unreachedKind(error) !== 'forbidden') throw error;
      throw new MeshError(
        'permission_denied',
        `${MeshError.from(error).message}; ${remedyOf('forbidden', namespace, '')}`,
        error,
      );
    }
    const pods = new MeshPods(
      options,
      found.map(podFact).filter((pod) => pod !== null),
    );
    if (pods.controllers.length + pods.agents.length > 0) return pods;
    throw new MeshError(
      'not_found',
      `Cannot find a mesh in namespace "${namespace}" of ${api.server}: no Pod of it runs; run: maesh check; if it is elsewhere, name it with --mesh-namespace`,
    );
  }

  get namespace(): string {
    return this.#options.namespace;
  }

  get server(): string {
    return this.#options.api.server;
  }

  /** Never throws. */
  async ask(
    pod: PodFact,
    path: string,
    query: Query = {},
    timeoutMs = AGENT_TIMEOUT_MS,
  ): Promise<Answered> {
    const { api, namespace } = this.#options;
    try {
      const value = await askPod(api, { namespace, name: pod.name }, path, { query, timeoutMs });
      return { pod, ok: true, value };
    } catch (error) {
      const kind = unreachedKind(error);
      return { pod, ok: false, why: MeshError.from(error).message, kind };
    }
  }

  /**
   * Of every agent, in order of the nodes; bounded in how many are asked at a time and in how long it takes. Who may not ask one
   * may ask none.
   */
  async askAgents(path: string, query: Query = {}): Promise<readonly Answered[]> {
    const { clock } = this.#options;
    const endMs = clock.nowMs() + ALL_AGENTS_TIMEOUT_MS;
    let forbidden: Failed | null = null;
    const one = async (pod: PodFact): Promise<Answered> => {
      if (forbidden !== null) return { ...forbidden, pod };
      const leftMs = endMs - clock.nowMs();
      if (leftMs <= 0) {
        const why = `not queried: the agents before it took all of ${ALL_AGENTS_TIMEOUT_MS / 1_000} s`;
        return { pod, ok: false, why, kind: 'failed' };
      }
      const answer = await this.ask(pod, path, query, Math.min(AGENT_TIMEOUT_MS, leftMs));
      if (!answer.ok && answer.kind === 'forbidden') forbidden = answer;
      return answer;
    };
    return inParallel(this.agents, one, ASKED_AT_ONCE_MAX);
  }

  /** Of the first controller that answers; undefined when none runs. */
  async askController(path: string, query: Query = {}): Promise<Answered | undefined> {
    let last: Answered | undefined;
    for (const pod of this.controllers) {
      last = await this.ask(pod, path, query);
      if (last.ok || last.kind === 'forbidden') break;
    }
    return last;
  }

  /** Why it could not be asked, with what to do about it. */
  failure({ pod, why, kind }: Failed): MeshError {
    return new MeshError(
      kind === 'forbidden' ? 'permission_denied' : 'unreachable',
      `Cannot query ${pod.component} "${this.namespace}/${pod.name}": ${why}; ${remedyOf(kind, this.namespace, pod.name)}`,
    );
  }
}

/**
 * The configuration that the first of these Pods that answers has: all of it, or that of a namespace. Throws a `MeshError` when
 * none answers.
 */
export async function askSnapshot(
  pods: MeshPods,
  candidates: readonly PodFact[],
  namespace: string,
): Promise<Answer> {
  let last: Failed | undefined;
  for (const pod of candidates) {
    const answer = await pods.ask(pod, '/api/snapshot', queryOf(namespace));
    if (answer.ok) return answer;
    last = answer;
    if (answer.kind === 'forbidden') break;
  }
  if (last !== undefined) throw pods.failure(last);
  throw new MeshError(
    'not_found',
    `Cannot query the mesh in namespace "${pods.namespace}": no controller runs; run: maesh check`,
  );
}

export function queryOf(namespace: string): Query {
  return namespace === '' ? {} : { namespace };
}
