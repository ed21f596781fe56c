/** Asks a replica of the controller, through the API server: its admin port is open to nobody else. */

import { ApiError } from '../../kube/api/api-error.ts';
import { isRecord, listAt, numberAt, textAt } from '../../base/record.ts';
import type { Problem } from '../../model/service.ts';
import type { Api } from '../names.ts';
import type { AgentFact, ReplicaFact } from './facts.ts';
import type { ObjectReference } from '../../model/object-reference.ts';

const ADMIN_PORT = 9_000;
/** An answer that does not come within this time does not come. */
const TIMEOUT_MS = 10_000;
/** An agent may be behind for this long before that is told: every change leaves it behind for a moment. */
const CATCH_UP_MS = 5_000;
/** Problems that are kept of one answer. */
const PROBLEMS_MAX = 10_000;

interface PodName {
  readonly namespace: string;
  readonly name: string;
}

export interface AskOptions {
  readonly query?: Readonly<Record<string, string>>;
  /** For the whole answer; default 10,000. */
  readonly timeoutMs?: number;
}

/** Of the admin API of a Pod. Throws an `ApiError`, of the API server or of the Pod. */
export async function askPod(
  api: Api,
  pod: PodName,
  path: string,
  { query = {}, timeoutMs = TIMEOUT_MS }: AskOptions = {},
): Promise<unknown> {
  const proxy = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}:${ADMIN_PORT}/proxy`;
  return api.request({ method: 'GET', path: `${proxy}${path}`, query, timeoutMs });
}

/** Everything that is told of one replica. Throws an `ApiError`. */
export async function askReplica(api: Api, pod: PodName): Promise<ReplicaFact> {
  const [pending, agents, problems] = await Promise.all([
    askReadiness(api, pod),
    askPod(api, pod, '/api/agents'),
    askPod(api, pod, '/api/problems'),
  ]);
  const version = numberAt(agents, 'version');
  return {
    pod: pod.name,
    build: textAt(agents, 'build') || null,
    version,
    agents: listAt(agents, 'agents').map((agent) => agentFact(agent, version)),
    problems: listAt(problems, 'problems')
      .filter((problem) => isRecord(problem))
      .slice(0, PROBLEMS_MAX)
      .map(problemFact),
    pending,
  };
}

/** 503 says what is missing, and comes as an error of the API server that holds none of it. */
async function askReadiness(api: Api, pod: PodName): Promise<readonly string[]> {
  try {
    const answer = await askPod(api, pod, '/readyz');
    return listAt(answer, 'pending').map(String);
  } catch (error) {
    // An answer of the API server itself has a reason.
    const isNotReady = error instanceof ApiError && error.status === 503 && error.reason === '';
    if (isNotReady) return ['it says that it is not ready'];
    throw error;
  }
}

function agentFact(raw: unknown, version: number): AgentFact {
  const servedVersion = numberAt(raw, 'servedVersion');
  return {
    agent: textAt(raw, 'agent'),
    node: textAt(raw, 'node'),
    build: textAt(raw, 'build'),
    servedVersion,
    isBehind: numberAt(raw, 'lagMs') > CATCH_UP_MS,
    lag: Math.max(0, version - servedVersion),
    failures: listAt(raw, 'failures').map(String),
  };
}

function problemFact(raw: unknown): Problem {
  return {
    severity: textAt(raw, 'severity') === 'warning' ? 'warning' : 'error',
    object: textAt(raw, 'object'),
    ref: referenceIn(raw),
    field: textAt(raw, 'field'),
    value: textAt(raw, 'value'),
    message: textAt(raw, 'message'),
    remedy: textAt(raw, 'remedy'),
    location: textAt(raw, 'location'),
  };
}

/** null for what is no object, and of a replica that does not say it. */
function referenceIn(raw: unknown): ObjectReference | null {
  const text = (field: string): string => textAt(raw, 'ref', field);
  const [apiVersion, kind, namespace, name] = ['apiVersion', 'kind', 'namespace', 'name'].map(text);
  if (!apiVersion || !kind || !name) return null;
  return { apiVersion, kind, namespace: namespace ?? '', name };
}
