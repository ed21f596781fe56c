/** Asks a replica of the controller, through the API server: its admin port is open to nobody else. */

import type { Clock } from '../../base/clock.ts';
import { ApiError } from '../../kube/api/api-error.ts';
import { isRecord } from '../../kube/record.ts';
import type { Problem } from '../../model/service.ts';
import type { Api } from '../names.ts';
import { listAt, numberAt, textAt } from '../raw.ts';
import { delay } from '../wait.ts';
import type { AgentFact, ReplicaFact } from './facts.ts';

const ADMIN_PORT = 9_000;
const TIMEOUT_MS = 10_000;
/** An agent that is behind gets this long to catch up before that is told: every change leaves it behind for a moment. */
const CATCH_UP_MS = 2_000;
/** Problems that are kept of one answer. */
const PROBLEMS_MAX = 10_000;

/** Of the admin API of a Pod. Throws an `ApiError`, of the API server or of the Pod. */
export async function askPod(
  api: Api,
  pod: { readonly namespace: string; readonly name: string },
  path: string,
  query: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const proxy = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}:${ADMIN_PORT}/proxy`;
  return api.request({ method: 'GET', path: `${proxy}${path}`, query, timeoutMs: TIMEOUT_MS });
}

/** Everything that is told of one replica. Throws an `ApiError`. */
export async function askReplica(
  api: Api,
  clock: Clock,
  pod: { readonly namespace: string; readonly name: string },
): Promise<ReplicaFact> {
  const [ready, first, problems] = await Promise.all([
    askReadiness(api, pod),
    askPod(api, pod, '/api/agents'),
    askPod(api, pod, '/api/problems'),
  ]);
  const version = numberAt(first, 'version');
  let agents = first;
  if (listAt(first, 'agents').some((agent) => numberAt(agent, 'servedVersion') < version)) {
    await delay(clock, CATCH_UP_MS);
    agents = await askPod(api, pod, '/api/agents');
  }
  return {
    pod: pod.name,
    version: numberAt(agents, 'version'),
    agents: listAt(agents, 'agents').map((agent) => agentFact(agent, version, agents)),
    problems: listAt(problems, 'problems')
      .filter((problem) => isRecord(problem))
      .slice(0, PROBLEMS_MAX)
      .map(problemFact),
    pending: ready,
  };
}

/** 503 says what is missing, and comes as an error of the API server that holds none of it. */
async function askReadiness(
  api: Api,
  pod: { readonly namespace: string; readonly name: string },
): Promise<readonly string[]> {
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

function agentFact(raw: unknown, asked: number, answer: unknown): AgentFact {
  const servedVersion = numberAt(raw, 'servedVersion');
  return {
    agent: textAt(raw, 'agent'),
    node: textAt(raw, 'node'),
    build: textAt(raw, 'build'),
    servedVersion,
    isBehind: servedVersion < asked,
    lag: Math.max(0, numberAt(answer, 'version') - servedVersion),
    failures: listAt(raw, 'failures').map(String),
  };
}

function problemFact(raw: unknown): Problem {
  return {
    severity: textAt(raw, 'severity') === 'warning' ? 'warning' : 'error',
    object: textAt(raw, 'object'),
    field: textAt(raw, 'field'),
    value: textAt(raw, 'value'),
    message: textAt(raw, 'message'),
    remedy: textAt(raw, 'remedy'),
    location: textAt(raw, 'location'),
  };
}
