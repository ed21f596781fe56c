/** The status of a pod as the kubelet reports it. */

import type { Container, State } from './container.ts';
import { now } from './container.ts';
import type { Pod } from './types.ts';

export interface StatusInput {
  readonly containers: readonly Container[];
  readonly initContainers: readonly Container[];
  readonly podIps: readonly string[];
  readonly hostIp: string;
  readonly startTime: string;
  readonly initialized: boolean;
  readonly restartPolicy: string;
  /** Set when the pod as a whole cannot go on. */
  readonly failure: { readonly reason: string; readonly message: string } | undefined;
}

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly lastTransitionTime: string;
  readonly reason?: string;
}

/** Keeps the times at which conditions turned. */
export class PodStatus {
  readonly #turned = new Map<string, Condition>();

  /** Body of a strategic merge patch, which leaves the scheduler's condition alone. */
  of(input: StatusInput): object {
    const { containers, initContainers, podIps, hostIp, startTime, failure } = input;
    const ready = containers.every((container) => container.ready);
    const phase = phaseOf(input);
    const done = phase === 'Succeeded' ? 'PodCompleted' : undefined;
    const condition = (type: string, holds: boolean, reason?: string): Condition =>
      this.#condition(type, holds, done ?? reason);
    return {
      phase,
      hostIP: hostIp,
      hostIPs: [{ ip: hostIp }],
      ...(podIps.length === 0
        ? {}
        : { podIP: podIps[0], podIPs: [{ $patch: 'replace' }, ...podIps.map((ip) => ({ ip }))] }),
      startTime,
      ...(failure === undefined ? {} : { reason: failure.reason, message: failure.message }),
      conditions: [
        condition('PodReadyToStartContainers', podIps.length > 0),
        condition('Initialized', input.initialized, 'ContainersNotInitialized'),
        condition('ContainersReady', ready && phase === 'Running', 'ContainersNotReady'),
        condition('Ready', ready && phase === 'Running', 'ContainersNotReady'),
      ],
      containerStatuses: containers.map((container) => statusOf(container, false)),
      ...(initContainers.length === 0
        ? {}
        : { initContainerStatuses: initContainers.map((container) => statusOf(container, true)) }),
    };
  }

  /** True when the object does not say what was last reported: the node controller marks pods of a silent node. */
  differs({ status }: Pod): boolean {
    const mine = this.#turned.get('Ready');
    const theirs = status?.conditions?.find(({ type }) => type === 'Ready');
    return mine !== undefined && theirs !== undefined && theirs.status !== mine.status;
  }

  #condition(type: string, holds: boolean, reason: string | undefined): Condition {
    const status = holds ? 'True' : 'False';
    const old = this.#turned.get(type);
    const lastTransitionTime = old?.status === status ? old.lastTransitionTime : now();
    const named = holds || reason === undefined ? {} : { reason };
    const condition = { type, status, lastTransitionTime, ...named } as const;
    this.#turned.set(type, condition);
    return condition;
  }
}

export function phaseOf({ containers, initialized, restartPolicy, failure }: StatusInput): string {
  if (failure !== undefined) return 'Failed';
  if (!initialized) return 'Pending';
  const ended = containers.filter(({ state }) => state.kind === 'terminated');
  const bad = ended.some(({ state }) => state.kind === 'terminated' && state.exitCode !== 0);
  if (ended.length === containers.length && restartPolicy !== 'Always') {
    if (!bad) return 'Succeeded';
    if (restartPolicy === 'Never') return 'Failed';
  }
  const begun = containers.every(({ state, restarts }) => state.kind !== 'waiting' || restarts > 0);
  return begun ? 'Running' : 'Pending';
}

function statusOf(container: Container, initial: boolean): object {
  const { spec, state, lastState, restarts, ready, started, image } = container;
  const done = initial && state.kind === 'terminated' && state.exitCode === 0;
  return {
    name: spec.name,
    image: spec.image,
    imageID: image,
    containerID: `bed://${spec.name}-${restarts}`,
    ready: ready || done,
    started: started || done,
    restartCount: restarts,
    state: stateOf(state),
    lastState: lastState === undefined ? {} : stateOf(lastState),
  };
}

function stateOf(state: State): object {
  switch (state.kind) {
    case 'waiting':
      return { waiting: { reason: state.reason, message: state.message } };
    case 'running':
      return { running: { startedAt: state.startedAt } };
    case 'terminated': {
      const { kind, ...terminated } = state;
      return { [kind]: terminated };
    }
    default:
      return state satisfies never;
  }
}
