/**
 * What the agent that carries a caller knows: its configuration and the state of its endpoints. In a cluster every node has
 * a health, a breaker and requests in flight of its own, so that of the caller's node is the one that counts.
 */

import { isIP } from 'node:net';

import { MeshError } from '../base/error.ts';
import { listAt, textAt } from '../base/record.ts';
import type { PodFact } from './facts/facts.ts';
import { askSnapshot, type Failed, queryOf, type MeshPods } from './mesh-pods.ts';

/** Agents that are tried before it is said that none answers. */
const TRIES_MAX = 3;

export interface CallerQuestion {
  /** `shop/client-1` or an address; '' for nobody in particular. */
  readonly from: string;
  /** Namespace of the Service that is called; '' asks for everything. */
  readonly namespace: string;
  /** A Service (`shop/web`) that the mesh does not have: asks why; '' is none. */
  readonly missing: string;
}

/** Parts of the answers of the admin API, as they came. */
export interface CallerState {
  readonly services: readonly unknown[];
  readonly identities: readonly unknown[];
  /** Empty when the agent does not tell. */
  readonly domains: readonly string[];
  /** Of `/api/stats`; null when no agent could be asked. */
  readonly stats: readonly unknown[] | null;
  /** `agent maesh/maesh-agent-x on node n1`. */
  readonly asked: string;
  /** Assumptions, as sentences. */
  readonly notes: readonly string[];
  /** Why the Service that is missing is not part of the mesh; '' when that is not known. */
  readonly reason: string;
}

type Read = Omit<CallerState, 'notes' | 'reason'>;

/** Throws a `MeshError` when nobody can be asked. */
export async function askCallerAgent(
  pods: MeshPods,
  question: CallerQuestion,
): Promise<CallerState> {
  const { from, namespace } = question;
  const notes: string[] = [];
  const caller = from === '' ? undefined : await locate(pods, from);
  const callers = textAt(caller, 'namespace') || (isIP(from) === 0 ? namespaceOf(from) : '');
  const namespaces = namespace === '' || callers === '' ? [namespace] : [namespace, callers];
  const wanted = [...new Set(namespaces)];
  if (from === '') {
    notes.push(
      'no caller is given (--from): each node has its own state, and this is the state of one node',
    );
  }
  const agents = candidates(pods, textAt(caller, 'node'), notes);
  const { value, last } = await firstThatAnswers(pods, agents, wanted, notes);
  const reason = await reasonOf(pods, question.missing);
  if (value !== null) return { ...value, notes, reason };
  if (last?.kind === 'forbidden') throw pods.failure(last);
  const controller = await firstThatAnswers(pods, pods.controllers, wanted, []);
  if (controller.value !== null) {
    notes.push('no agent could be queried: this is the configuration from the controller');
    return { ...controller.value, stats: null, notes, reason };
  }
  if (last !== null) throw pods.failure(last);
  throw new MeshError(
    'not_found',
    `Cannot query the mesh in namespace "${pods.namespace}": no agent is ready; run: maesh check`,
  );
}

/** `notes` gets why those before it did not. */
async function firstThatAnswers(
  pods: MeshPods,
  candidates: readonly PodFact[],
  namespaces: readonly string[],
  notes: string[],
): Promise<{ readonly value: Read | null; readonly last: Failed | null }> {
  let last: Failed | null = null;
  for (const pod of candidates) {
    const told = await readPod(pods, pod, namespaces);
    if (told.ok) return { value: told.value, last };
    last = told;
    if (last.kind === 'forbidden') break;
    notes.push(`the ${pod.component} on node ${pod.node} cannot be queried: ${last.why}`);
  }
  return { value: null, last };
}

async function reasonOf(pods: MeshPods, service: string): Promise<string> {
  if (service === '') return '';
  const answer = await pods.askController('/api/outside', { service });
  return answer?.ok === true ? textAt(listAt(answer.value, 'services')[0], 'reason') : '';
}

function namespaceOf(pod: string): string {
  return pod.split('/')[0] ?? '';
}

/** The one of the caller's node first, then others. */
function candidates(pods: MeshPods, node: string, notes: string[]): readonly PodFact[] {
  const ready = pods.agents.filter(({ isReady }) => isReady);
  const own = ready.filter((pod) => node !== '' && pod.node === node);
  if (node !== '' && own.length === 0) {
    notes.push(`node ${node} has no ready agent: its callers use agents of other nodes`);
  }
  return [...own, ...ready.filter((pod) => !own.includes(pod))].slice(0, TRIES_MAX);
}

/** The identity of the caller, as a controller or else an agent knows it; undefined when there is none. */
async function locate(pods: MeshPods, from: string): Promise<unknown> {
  const isAddress = isIP(from) !== 0;
  const namespace = isAddress ? '' : namespaceOf(from);
  const all = [...pods.controllers, ...pods.agents.slice(0, TRIES_MAX)];
  const answer = await askSnapshot(pods, all, namespace);
  return listAt(answer.value, 'identities').find((identity) =>
    isAddress
      ? textAt(identity, 'address') === from
      : `${textAt(identity, 'namespace')}/${textAt(identity, 'pod')}` === from,
  );
}

type Answer = { readonly ok: true; readonly value: Read } | Failed;

/** Configuration and state of one Pod, of these namespaces; '' is all of them. */
async function readPod(
  pods: MeshPods,
  pod: PodFact,
  namespaces: readonly string[],
): Promise<Answer> {
  const [called = ''] = namespaces;
  const [stats, ...snapshots] = await Promise.all([
    pods.ask(pod, '/api/stats', queryOf(called)),
    ...namespaces.map((each) => pods.ask(pod, '/api/snapshot', queryOf(each))),
  ]);
  const failed = [stats, ...snapshots].find((answer) => !answer.ok);
  if (failed?.ok === false) return failed;
  const told = snapshots.flatMap((answer) => (answer.ok ? [answer.value] : []));
  const value: Read = {
    services: told.flatMap((each) => listAt(each, 'services')),
    identities: told.flatMap((each) => listAt(each, 'identities')),
    domains: listAt(told[0], 'domains').map(String),
    stats: stats.ok ? listAt(stats.value, 'services') : null,
    asked: `${pod.component} ${pods.namespace}/${pod.name} on node ${pod.node}`,
  };
  return { ok: true, value };
}
