/** One backend that the route may lead to: what its breaker, its limits and its balancing make of the request. */

import { timeOf } from '../model/credential.ts';
import { believesNobody, type EndpointTls } from '../model/endpoint-tls.ts';
import type { FailureReason } from '../model/failure.ts';
import type { RequestKey } from '../model/policy.ts';
import type { RouteBackend, RoutePolicies } from '../model/route.ts';
import type { TargetFilters } from '../proxy/head/filter.ts';
import type { EndpointOdds } from '../proxy/balance/backend-state.ts';
import { whyOut } from '../proxy/balance/odds.ts';
import { healthOf, IN_ROTATION, PROBING } from '../proxy/balance/ejection.ts';
import { noEndpointReason } from '../proxy/call/admit.ts';
import { isBodyTooLarge } from '../proxy/http/admit.ts';
import { GrpcCall } from '../proxy/http/grpc-call.ts';
import { PickFacts } from '../proxy/call/pick-facts.ts';
import { readKeys } from '../proxy/http/request-key.ts';
import { ENDPOINT_WORD } from '../proxy/ledger/layout.ts';
import { BREAKER_CLOSED, BREAKER_OPEN, breakerOutlook } from '../proxy/policy/breaker.ts';
import type { ServiceState, Target } from '../proxy/table/table.ts';
import type { Arrived, Asked } from './arrived.ts';
import { changeFacts } from './changes.ts';
import type { BackendFacts, BreakerFacts, EndpointFacts, TlsFacts } from './explanation.ts';
import { UNTOLD } from './live.ts';
import { retryFacts } from './retries.ts';
import { upgradeFact } from './upgrade.ts';
import { duration } from './words.ts';

export interface TargetStory {
  readonly facts: BackendFacts;
  /** Whose backend it is. */
  readonly service: ServiceState | null;
  /** Retries, time limits and affinity. */
  readonly rules: RoutePolicies;
  /** What the breaker tells those that it refuses to wait; 0 when it refuses nobody. */
  readonly breakerWaitMs: number;
  /** Why a request that passes the breaker is not forwarded; '' when it is. */
  readonly failure: FailureReason | '';
  /** How long the caller of gRPC wants to wait; Infinity when it does not say. */
  readonly callerMs: number;
}

export interface Leg {
  /** The Service that was called. */
  readonly called: ServiceState;
  readonly rules: RoutePolicies;
  /** Null where the route may not lead. */
  readonly target: Target | null;
  /** What the route says of it. */
  readonly share: RouteBackend;
  readonly filters: TargetFilters | null;
  /** Probability that the route leads here. */
  readonly odds: number;
  /** Id of the backend that it takes over for; '' for none. */
  readonly instead: string;
}

export function explainTarget(leg: Leg, arrived: Arrived): TargetStory {
  const { called, rules, target, share, odds } = leg;
  const changes = changeFacts(leg.filters, arrived);
  const { instead } = leg;
  const base = { id: share.backend, instead, weight: share.weight, odds, changes };
  const callerMs = callerMsOf(arrived);
  if (target === null) return deadEnd(base, rules, 'invalid_backend', share.invalid);
  const { backend, service } = target;
  if (service === null) {
    const why =
      'no Service of the mesh has this backend, or its endpoints ask for what is not carried yet';
    return deadEnd(base, rules, 'no_endpoint', why);
  }
  const outlook = breakerOutlook(service.cells, arrived.nowMs);
  const { breaker } = service.service.policies;
  const pick = pickFactsOf(service, rules, arrived);
  const endpointOdds = backend.nextOdds(pick, arrived.nowMs);
  const refusal = refusalOf(service, arrived, callerMs);
  const canPick = refusal === '' && endpointOdds.length > 0;
  const failure = canPick ? '' : refusal === '' ? noEndpointReason(backend, pick) : refusal;
  const spoken = spokenTo(service, backend.id);
  const facts: BackendFacts = {
    ...base,
    service: service.service.key,
    ...spoken,
    upgrade: upgradeFact(spoken.protocol, arrived.data, arrived.head),
    breaker: breaker === null ? null : breakerFacts(outlook, breaker.text),
    picks: picksBy(service, rules, pick),
    endpoints: canPick
      ? endpointOdds.map((each) => endpointFacts(each, arrived))
      : untaken(target, failure, arrived),
    retries: canPick ? retryFacts(rules, called, arrived) : null,
  };
  const breakerWaitMs = breaker === null ? 0 : outlook.waitMs;
  return { facts, service, rules, breakerWaitMs, failure, callerMs };
}

/** What ends the request before an endpoint is picked. */
function refusalOf(service: ServiceState, { head }: Arrived, callerMs: number): FailureReason | '' {
  if (isBodyTooLarge(service, head.contentLength)) return 'body_too_large';
  return callerMs <= 0 ? 'deadline_exceeded' : '';
}

function callerMsOf({ data, head }: Arrived): number {
  if (!head.grpc) return Infinity;
  const call = new GrpcCall();
  call.begin(data, head, 0);
  return call.deadlineMs;
}

/** The request ends here, whatever is known of the backend. */
export function deadEnd(
  base: Pick<BackendFacts, 'id' | 'instead' | 'weight' | 'odds' | 'changes'>,
  rules: RoutePolicies,
  failure: FailureReason,
  why: string,
): TargetStory {
  const facts: BackendFacts = {
    ...base,
    service: '',
    protocol: null,
    tls: null,
    upgrade: null,
    breaker: null,
    picks: why,
    endpoints: [],
    retries: null,
  };
  return { facts, service: null, rules, breakerWaitMs: 0, failure, callerMs: Infinity };
}

function pickFactsOf(service: ServiceState, rules: RoutePolicies, arrived: Arrived): PickFacts {
  const pick = new PickFacts(arrived.ownNode);
  pick.reset(arrived.identity);
  const { data, head, addressHash } = arrived;
  readKeys(pick, rules, service.service.policies, data, head, addressHash);
  return pick;
}

function breakerFacts(
  { state, share }: ReturnType<typeof breakerOutlook>,
  expression: string,
): BreakerFacts {
  if (state === BREAKER_CLOSED) return { state: 'closed', expression, share };
  return { state: state === BREAKER_OPEN ? 'open' : 'recovering', expression, share };
}

export function spokenTo(
  { service }: ServiceState,
  backendId: string,
): Pick<BackendFacts, 'protocol' | 'tls'> {
  const found = service.ports.find(({ backend }) => backend.id === backendId)?.backend;
  return { protocol: found?.protocol ?? null, tls: tlsFacts(found?.tls ?? null) };
}

function tlsFacts(tls: EndpointTls | null): TlsFacts | null {
  if (tls === null) return null;
  const { serverName, trust, client } = tls;
  return {
    serverName,
    believes: believesNobody(tls) ? 'nobody' : trust,
    client: client === null ? null : { secret: client.secret, expires: timeOf(client.notAfterMs) },
  };
}

/** What picks the endpoint: the affinity cookie, the hash, or the algorithm alone. */
export function picksBy(
  { service }: ServiceState,
  { affinity }: Pick<RoutePolicies, 'affinity'>,
  pick: PickFacts,
): string {
  const { sourceAffinity, balance } = service.policies;
  const { algorithm, hashKey, locality } = balance;
  const where = locality === 'none' ? 'wherever they are' : locality;
  const parts = [`${algorithm}, ${where}`];
  if (hashKey !== null && algorithm === 'consistent-hash') {
    const isThere = pick.hash >= 0 ? 'decides' : 'is missing, so it is balanced by least-request';
    parts.push(`the ${nameOf(hashKey)} ${isThere}`);
  }
  if (locality === 'require-node' && pick.node === '') {
    parts[0] = `${algorithm}; the node of the caller is not known, so every endpoint counts as local`;
  }
  if (sourceAffinity !== null) {
    const time = duration(sourceAffinity.timeoutMs);
    parts.push(`a source address keeps its endpoint until it was idle for ${time}`);
  }
  if (affinity !== null) {
    const says = pick.affinity < 0 ? 'names no endpoint and will be set' : 'names an endpoint';
    parts.push(`the affinity cookie "${affinity.cookie}" ${says}`);
  }
  return parts.join('; ');
}

function nameOf(key: RequestKey): string {
  return key.kind === 'source' ? 'source address' : `${key.kind} "${key.name}"`;
}

export function endpointFacts(odds: EndpointOdds, { knowledge }: Asked): EndpointFacts {
  const state = odds.endpoint;
  const isLive = knowledge !== 'manifests';
  return {
    ...state.endpoint,
    tier: odds.tier,
    // Sums of shares may round to a hair above 1.
    odds: Math.min(odds.share, 1),
    reason: odds.reason,
    health: isLive ? healthName(state) : null,
    inFlight: isLive ? state.inFlight : null,
    connections: isLive ? connectionsOf(state) : null,
  };
}

const REFUSALS: ReadonlyMap<string, string> = new Map([
  ['body_too_large', 'the body is too long'],
  ['deadline_exceeded', 'the call has no time left'],
  ['tls_unknown_issuer', 'not believed: the CAs of upstream-ca cannot be used'],
  ['tls_no_client_certificate', 'not dialled: the Secret of upstream-client-secret cannot be used'],
]);

/** All endpoints of a backend where none can be picked. */
export function untaken(
  { backend }: Target,
  failure: FailureReason | '',
  arrived: Asked,
): EndpointFacts[] {
  return backend.endpoints.map((endpoint) => {
    const isOut = healthOf(endpoint.cells) !== IN_ROTATION;
    const isElsewhere = failure === 'no_local_endpoint';
    const state = isOut
      ? whyOut(endpoint, backend.check !== null)
      : 'at its limit of connections or requests';
    const place = isElsewhere ? 'on another node than the caller' : state;
    const own = endpoint.weight === 0 ? 'weight 0' : place;
    const reason = REFUSALS.get(failure) ?? own;
    return endpointFacts({ endpoint, share: 0, tier: '', reason }, arrived);
  });
}

function connectionsOf({ cells }: EndpointOdds['endpoint']): number | null {
  const connections = cells.words[cells.w + ENDPOINT_WORD.connections] ?? UNTOLD;
  return connections === UNTOLD ? null : connections;
}

function healthName({ cells }: EndpointOdds['endpoint']): 'healthy' | 'ejected' | 'probing' {
  const health = healthOf(cells);
  if (health === IN_ROTATION) return 'healthy';
  return health === PROBING ? 'probing' : 'ejected';
}
