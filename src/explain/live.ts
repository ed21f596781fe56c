/** Puts what the admin API of a running mesh tells of the present into the memory of a dry mesh. */

import { CHECK_STATES, type CheckFacts } from '../model/health-check.ts';
import { portText, type Protocol, type ServicePort } from '../model/service.ts';
import { packCheck } from '../proxy/balance/check-standing.ts';
import { EJECTED, IN_ROTATION, PROBING } from '../proxy/balance/ejection.ts';
import type { EndpointState } from '../proxy/balance/endpoint-state.ts';
import type { Cells } from '../proxy/ledger/cells.ts';
import {
  ENDPOINT_FLOAT,
  ENDPOINT_WORD,
  SERVICE_FLOAT,
  SERVICE_WORD,
} from '../proxy/ledger/layout.ts';
import { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_RECOVERING } from '../proxy/policy/breaker.ts';
import type { ServiceState } from '../proxy/table/table.ts';
import type { DryMesh } from './dry-mesh.ts';

/** As in `/api/stats`, as far as it matters here. */
export interface LiveService {
  /** `namespace/name`. */
  readonly key: string;
  readonly breaker: 'none' | 'closed' | 'open' | 'recovering';
  readonly inFlight: number;
  readonly endpoints: readonly LiveEndpoint[];
  /** Those with policies of their own. Agents of before there were any do not have it. */
  readonly ports?: readonly (LiveState & LivePort)[];
  /** The Service without them. */
  readonly rest?: LiveState;
}

interface LivePort {
  readonly port: number;
  /** Agents of before there was UDP do not say it. */
  readonly protocol?: Protocol;
}

type LiveState = Pick<LiveService, 'breaker' | 'inFlight'>;

export interface LiveEndpoint {
  readonly servicePort: number;
  /** That of the Service port, as there. */
  readonly protocol?: Protocol;
  readonly address: string;
  readonly port: number;
  readonly health: 'healthy' | 'ejected' | 'probing';
  readonly inFlight: number;
  /** As `recentFailures`. */
  readonly connections?: number;
  /** Agents of before this was told do not have it. */
  readonly recentFailures?: number;
  /** Null when it is not known. */
  readonly p50Ms: number | null;
  /** As `recentFailures`; null where no check was made. */
  readonly check?: CheckFacts | null;
}

/** In place of a figure that is not known. */
export const UNTOLD = -1;

const HEALTH = { healthy: IN_ROTATION, ejected: EJECTED, probing: PROBING } as const;

/** `mesh` must be one of `DryMesh.started`: the memory of proxies is theirs. */
export function putLive(mesh: DryMesh, services: readonly LiveService[]): void {
  const nowMs = mesh.clock.nowMs();
  const byKey = new Map(services.map((service) => [service.key, service]));
  for (const port of mesh.ports()) {
    const live = byKey.get(port.service.service.key);
    if (live === undefined) continue;
    putService(port.service, live.rest ?? live, nowMs);
    const ofPort = live.ports?.find((each) => isOf(each, port.port));
    if (port.rules !== port.service && ofPort !== undefined) putService(port.rules, ofPort, nowMs);
    const endpoints = new Map(live.endpoints.map((each) => [keyOf(liveText(each), each), each]));
    for (const target of port.routes.flatMap(({ targets }) => targets)) {
      if (target?.backend.id !== port.port.backend.id) continue;
      for (const endpoint of target.backend.endpoints) {
        const known = endpoints.get(keyOf(portText(port.port), endpoint));
        if (known !== undefined) putEndpoint(endpoint, known, nowMs);
      }
    }
  }
  mesh.knowledge = 'admin';
}

function isOf({ port, protocol = 'http' }: LivePort, known: ServicePort): boolean {
  return portText({ port, protocol }) === portText(known);
}

function liveText({ servicePort, protocol = 'http' }: LiveEndpoint): string {
  return portText({ port: servicePort, protocol });
}

function keyOf(servicePort: string, endpoint: { address: string; port: number }): string {
  return `${servicePort} ${endpoint.address} ${endpoint.port}`;
}

/** The times of the breaker are not told: it counts as just opened, or as half recovered. */
function putService({ service, cells }: ServiceState, live: LiveState, nowMs: number): void {
  const { words, w, floats, f } = cells;
  words[w + SERVICE_WORD.inFlight] = live.inFlight;
  const { breaker } = service.policies;
  if (breaker === null || live.breaker === 'none' || live.breaker === 'closed') {
    words[w + SERVICE_WORD.breakerState] = BREAKER_CLOSED;
    return;
  }
  const isOpen = live.breaker === 'open';
  words[w + SERVICE_WORD.breakerState] = isOpen ? BREAKER_OPEN : BREAKER_RECOVERING;
  const half = breaker.recoveryMs / 2;
  floats[f + SERVICE_FLOAT.breakerSinceMs] = isOpen ? nowMs : nowMs - half;
  floats[f + SERVICE_FLOAT.breakerUntilMs] = nowMs + (isOpen ? breaker.openMs : half);
}

/** When an ejected endpoint is due for its probe is not told: it counts as not due. */
function putEndpoint({ cells }: EndpointState, live: LiveEndpoint, nowMs: number): void {
  const { words, w, floats, f } = cells;
  words[w + ENDPOINT_WORD.health] = HEALTH[live.health];
  words[w + ENDPOINT_WORD.inFlight] = live.inFlight;
  words[w + ENDPOINT_WORD.connections] = live.connections ?? UNTOLD;
  floats[f + ENDPOINT_FLOAT.ejectedUntilMs] = Infinity;
  floats[f + ENDPOINT_FLOAT.penalty] = live.recentFailures ?? 0;
  floats[f + ENDPOINT_FLOAT.penaltyAtMs] = nowMs;
  putCheck(cells, live.check ?? null, nowMs);
  if (live.p50Ms === null) return;
  floats[f + ENDPOINT_FLOAT.ewmaMs] = live.p50Ms;
  floats[f + ENDPOINT_FLOAT.ewmaAtMs] = nowMs;
}

function putCheck({ words, w, floats, f }: Cells, check: CheckFacts | null, nowMs: number): void {
  if (check === null) return;
  words[w + ENDPOINT_WORD.checkState] = CHECK_STATES.indexOf(check.state);
  words[w + ENDPOINT_WORD.checkResult] = packCheck(check);
  words[w + ENDPOINT_WORD.ejectedBy] = check.ejected ? 1 : 0;
  floats[f + ENDPOINT_FLOAT.checkedAtMs] = nowMs - check.ageMs;
}
