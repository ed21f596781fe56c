/** Whether what explain said of a request is what the mesh then did. */

import type { RetryCondition } from '../../../src/model/policy.ts';
import { FAILURES, type FailureReason, grpcNumberOfFailure } from '../../../src/model/failure.ts';
import type {
  BackendFacts,
  EndpointFacts,
  Explanation,
  Outcome,
} from '../../../src/explain/explanation.ts';
import type { Answer } from './caller.ts';
import { connectionFault } from './connection.ts';
import { headFault, redirectFault, responseFault } from './changes.ts';
import type { Behaviour } from './endpoints.ts';
import { isSwitched, upgradeFault } from './switched.ts';

/** What was seen of one request, from outside and in the counters of the mesh. */
export interface Seen {
  /** `namespace/name` of the Service whose counters moved, '' for none. */
  readonly service: string;
  readonly port: number;
  readonly answer: Answer;
  /** The caller spoke HTTP/2. */
  readonly isHttp2: boolean;
  /** What the mesh says that it answered itself, '' for nothing. */
  readonly failure: FailureReason | '';
  /** Keys `backend address:port` of the endpoints that were tried. */
  readonly tried: ReadonlyMap<string, number>;
  readonly retries: number;
  /** Endpoints that requests reached, by address, in order. */
  readonly reached: readonly string[];
  /** The heads that reached them. */
  readonly heads: readonly string[];
  readonly behaviourOf: (address: string) => Behaviour | 'refuse';
}

/** What does not fit, as a sentence; null when everything does. */
export function disagreement(said: Explanation, seen: Seen): string | null {
  const { answer } = seen;
  if (answer === 'refused') {
    const isUnreachable = said.outcomes.every(({ kind }) => kind === 'unreachable');
    return isUnreachable ? null : 'no connection was possible, explain says otherwise';
  }
  if (said.service?.protocol === 'tcp' || answer === 'stands') return tcpFault(said, seen);
  if (answer === 'cut')
    return mayBeCut(said, seen) ? null : 'the mesh cut the connection without an answer';
  if (said.service === null) return 'the mesh answered, explain says that nobody does';
  if (said.service.key !== seen.service || said.service.port !== seen.port) {
    return `Service ${seen.service}:${seen.port} took it, explain says ${said.service.key}:${said.service.port}`;
  }
  return seen.tried.size === 0 ? refusalFault(said, seen) : forwardFault(said, seen);
}

function tcpFault(said: Explanation, seen: Seen): string | null {
  const isSame = said.service?.key === seen.service && said.service.port === seen.port;
  if (!isSame) return `Service ${seen.service}:${seen.port} took it, explain says another one`;
  return connectionFault(said, seen);
}

/** On a port of HTTP/2, what is no head of HTTP/1.1 may be a preface that went wrong: it gets no text. */
function mayBeCut({ phases }: Explanation, { isHttp2, failure }: Seen): boolean {
  // What is malformed in HTTP/2 gets no answer.
  if (isHttp2)
    return (
      failure === 'bad_request' &&
      phases.some(({ name, state, text }) => {
        return name === 'head' && state === 'ended' && text.includes('is reset');
      })
    );
  const speaksIt = phases.some(({ name, text }) => name === 'accept' && text.includes('HTTP/2'));
  return speaksIt && phases.some(({ name, state }) => name === 'head' && state === 'ended');
}

function refusalFault(said: Explanation, seen: Seen): string | null {
  const { answer, failure } = seen;
  if (typeof answer === 'string') return 'an answer from nowhere';
  const redirected = said.outcomes.find(({ kind }) => kind === 'redirected');
  const preflight = said.outcomes.find(({ kind }) => kind === 'preflight');
  if (failure === '' && preflight !== undefined) return preflightFault(answer);
  if (failure === '') return redirectFault(redirected, answer);
  if (redirected !== undefined) return 'it was refused, explain says that it is redirected';
  const retryAfter = answer.fields.get('retry-after');
  const fits = (outcome: Outcome): boolean =>
    outcome.kind === 'answered' &&
    outcome.reason === failure &&
    outcome.status === answer.status &&
    outcome.share > 0 &&
    textOf(outcome.retryAfterSeconds) === retryAfter &&
    textOf(outcome.grpc?.status) === answer.fields.get('grpc-status') &&
    textOf(outcome.grpc?.pushbackMs) === answer.fields.get('grpc-retry-pushback-ms');
  if (said.outcomes.some(fits)) return null;
  return `refused with ${answer.status} ${failure}, Retry-After ${retryAfter ?? 'none'}, explain has no such outcome`;
}

function preflightFault({ status, fields }: Exclude<Seen['answer'], string>): string | null {
  const isAllowed = fields.get('access-control-allow-methods') === 'POST';
  return status === 204 && isAllowed ? null : `${status}, explain says that it is a preflight`;
}

function textOf(number: number | null | undefined): string | undefined {
  return number === null || number === undefined ? undefined : String(number);
}

interface Leg {
  readonly backend: BackendFacts;
  readonly endpoint: EndpointFacts;
  readonly key: string;
}

function forwardFault(said: Explanation, seen: Seen): string | null {
  if (!said.forwarded) return 'it was forwarded, explain says that the mesh answers';
  const legs = said.backends.flatMap((backend) =>
    backend.odds === 0
      ? []
      : backend.endpoints.map((endpoint) => ({
          backend,
          endpoint,
          key: `${backend.id} ${endpoint.address}:${endpoint.port}`,
        })),
  );
  const firsts = firstTried(seen);
  const possible = legs.filter(({ key, endpoint }) => firsts.includes(key) && endpoint.odds > 0);
  if (possible.length === 0) return `tried ${firsts.join(' or ')} first, explain gives it no odds`;
  const taken = new Set(possible.map(({ backend }) => backend.id));
  for (const { backend, endpoint, key } of legs) {
    if (taken.has(backend.id) && taken.size === 1 && endpoint.odds === 1 && !firsts.includes(key)) {
      return `explain is sure of ${key}`;
    }
  }
  if (possible.length > 1) return null;
  const leg = possible[0] as Leg;
  return changeFault(leg, said, seen) ?? retryFault(leg, said, seen) ?? upgradeFault(leg, seen);
}

/** Whether what endpoints got, and what came back of them, was changed as explain said. */
function changeFault({ backend }: Leg, said: Explanation, seen: Seen): string | null {
  const { changes } = backend;
  const fault = headFault(said, changes, seen.heads);
  if (fault !== null || typeof seen.answer === 'string' || seen.failure !== '') return fault;
  // The answer that switches passes as it comes.
  if (isSwitched(seen)) return null;
  return responseFault(changes, seen.answer);
}

/** The endpoint of the first try; several where the order cannot be told from outside. */
export function firstTried({ tried, reached, answer, behaviourOf }: Seen): string[] {
  const keys = [...tried.keys()];
  const silent = keys.filter((key) => behaviourOf(addressOf(key)) === 'refuse');
  const [first] = reached;
  if (silent.length === 0) return keys.filter((key) => addressOf(key) === first);
  // Who answered the only request that arrived was the last one.
  const last = typeof answer === 'string' ? undefined : answer.fields.get('x-endpoint');
  return reached.length === 1 && last === first ? silent : keys;
}

/** Of `backend address:port`. */
function addressOf(key: string): string {
  return key.slice(key.indexOf(' ') + 1, key.lastIndexOf(':'));
}

const CONDITIONS: Readonly<Record<string, RetryCondition | null>> = {
  refuse: 'connect-failure',
  reset: 'reset',
  hang: 'timeout',
  garbage: null,
};
const REASONS: Readonly<Record<string, FailureReason>> = {
  refuse: 'connect_failed',
  reset: 'endpoint_reset',
  hang: 'try_timeout',
  garbage: 'bad_response',
};

/** Whether the first try failed and was repeated as explain said. */
function retryFault({ backend, endpoint }: Leg, said: Explanation, seen: Seen): string | null {
  const { retries } = backend;
  const behaviour = seen.behaviourOf(endpoint.address);
  if (behaviour === 'ok' || retries === null) return null;
  const isStatus = typeof behaviour === 'number';
  const condition = isStatus ? 'status' : (CONDITIONS[behaviour] ?? null);
  const isListed = !isStatus || retries.statuses.includes(behaviour);
  const may = condition !== null && isListed && retries.on.includes(condition);
  const isKept = !retries.not.some(({ reason }) => reason.includes('too long'));
  const again = may && retries.budget !== 0;
  // While the mesh waits for an answer, time goes by and the governor sets the budget anew.
  const isOld = behaviour === 'hang' && may && retries.budget !== null;
  if (isKept && !isOld && again !== seen.retries > 0) {
    return `${String(behaviour)} was followed by ${seen.retries} retries, explain says ${again ? 'one' : 'none'}`;
  }
  const tries = [...seen.tried.values()].reduce((sum, each) => sum + each, 0);
  if (isKept && tries > retries.tries)
    return `${tries} tries, explain says at most ${retries.tries}`;
  if (seen.retries > 0 || typeof seen.answer === 'string') return null;
  const own = said.routes.find(({ taken }) => taken)?.policies ?? [];
  const ofCalled = said.policies.find(({ service }) => service === said.service?.key)?.fields ?? [];
  const fields = [...own, ...ofCalled];
  const limit = (name: string): number =>
    Number(fields.find(({ path }) => path === `timeouts.${name}`)?.value ?? 0);
  // Of the two limits on silence the shorter one acts.
  const isIdle = behaviour === 'hang' && (limit('tryMs') === 0 || limit('idleMs') < limit('tryMs'));
  const named = isIdle && limit('idleMs') > 0 ? 'response_idle_timeout' : undefined;
  const reason = isStatus ? undefined : (named ?? REASONS[behaviour]);
  const grpc = seen.answer.fields.get('grpc-status');
  if (reason !== undefined && grpc !== undefined)
    return grpc === String(grpcNumberOfFailure(reason)) && seen.failure === reason
      ? null
      : `${String(behaviour)} came out as grpc-status ${grpc} ${seen.failure}`;
  const status = reason === undefined ? behaviour : FAILURES[reason].status;
  if (seen.answer.status === status && seen.failure === (reason ?? '')) return null;
  return `${String(behaviour)} came out as ${seen.answer.status} ${seen.failure}`;
}
