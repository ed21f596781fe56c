/** What an agent sees go wrong for the callers of a Service, and the Problem that this is: the same words at agents, controllers and on one machine. */

import { textAt } from '../base/record.ts';
import { FAILURES, type FailureReason } from './failure.ts';
import { checkOn } from './health-check.ts';
import { isCarried, portText, type Problem, type Protocol, type Service } from './service.ts';
import { aboutObject } from './object-reference.ts';

export const TROUBLE_KINDS = [
  /** Every call fails. */
  'failing',
  'breaker-open',
  /** All endpoints of a port are ejected. */
  'all-ejected',
  /** At least half of the calls fail. */
  'failing-often',
  /** An endpoint that stays ejected. */
  'ejected',
] as const;

export type TroubleKind = (typeof TROUBLE_KINDS)[number];

export interface Trouble {
  /** `namespace/name`. */
  readonly service: string;
  readonly kind: TroubleKind;
  /**
   * `failing` and `failing-often`: the failure reason of most of them, '' where endpoints themselves answer with 5xx.
   * `all-ejected`: the number of the Service port. `breaker-open`: that of a port with policies of its own, else ''. `ejected`: the endpoint, `10.1.2.3:8080`. '' for the others.
   */
  readonly detail: string;
}

const TEXT_LENGTH_MAX = 256;

/** Those of a list from elsewhere that this version knows, at most `most`. */
export function troublesOf(list: readonly unknown[], most: number): readonly Trouble[] {
  return list.slice(0, most).flatMap((item) => {
    const kind = TROUBLE_KINDS.find((known) => known === textAt(item, 'kind'));
    const [service, detail] = [textAt(item, 'service'), textAt(item, 'detail')];
    const isFit = Math.max(service.length, detail.length) <= TEXT_LENGTH_MAX;
    return kind === undefined || service === '' || !isFit ? [] : [{ service, kind, detail }];
  });
}

type ProblemText = Pick<Problem, 'severity' | 'field' | 'value' | 'message' | 'remedy'>;

/** The Problem of a Service that is known; its words stay the same for as long as it lasts, so that it is told once. */
export function troubleProblem({ kind, detail }: Trouble, service: Service): Problem {
  return {
    ...aboutObject('Service', service.namespace, service.name),
    location: '',
    ...PROBLEM_TEXTS[kind](service, detail),
  };
}

const PROBLEM_TEXTS: Readonly<
  Record<TroubleKind, (service: Service, detail: string) => ProblemText>
> = {
  failing: (service, detail) => failing('error', 'every call fails', service, detail),
  'failing-often': (service, detail) =>
    failing('warning', 'at least half of the calls fail', service, detail),
  'breaker-open': (service, detail) => ({
    severity: 'error',
    field: 'circuit breaker',
    value: breakerText(service, detail),
    message:
      detail === ''
        ? 'it is open: calls get 503 at once'
        : `it is open: calls of port ${detail} get 503 at once`,
    remedy: `find out why calls failed (${statusOf(service)}); it closes by itself once they succeed`,
  }),
  'all-ejected': (service, detail) => ({
    severity: 'error',
    field: 'ejection',
    value: `all of port ${detail}`,
    message: 'all endpoints of this port are ejected, because calls to them failed',
    remedy: `check its Pods: kubectl -n ${service.namespace} get pods -o wide; their state on each node: ${statusOf(service)}`,
  }),
  ejected: (service, detail) => ({
    severity: 'warning',
    field: 'ejection',
    value: detail,
    message: isChecked(service)
      ? 'this endpoint stays ejected, because its health checks or calls to it keep failing'
      : 'this endpoint stays ejected, because calls to it keep failing',
    remedy: isChecked(service)
      ? `check its Pod: kubectl -n ${service.namespace} get pods -o wide; what its checks find: ${statusOf(service)}`
      : `check its Pod: kubectl -n ${service.namespace} get pods -o wide`,
  }),
};

function isChecked({ policies, ports }: Service): boolean {
  return ports.some(
    ({ policies: own, backend }) => checkOn(own ?? policies, backend.protocol) !== null,
  );
}

function breakerText({ policies, ports }: Service, port: string): string {
  const own = ports.find((each) => String(each.port) === port)?.policies;
  return (own ?? policies).breaker?.text ?? 'open';
}

function failing(
  severity: Problem['severity'],
  what: string,
  service: Service,
  reason: string,
): ProblemText {
  if (!isReason(reason)) {
    return {
      severity,
      field: 'responses',
      value: '5xx',
      message: `${what}: its endpoints answer with 5xx`,
      remedy: `check the logs of its Pods: kubectl -n ${service.namespace} get pods`,
    };
  }
  const { status, cause } = FAILURES[reason];
  // Callers of other ports get no status.
  const isTold = status > 0 && service.ports.some(({ protocol }) => protocol === 'http');
  return {
    severity,
    field: 'responses',
    value: reason,
    message: `${what}${isTold ? ` with ${status}` : ''}: ${cause}`,
    remedy: REMEDIES[reason]?.(service) ?? `docs/errors.md has the remedy for ${reason}`,
  };
}

const REMEDIES: Partial<Record<FailureReason, (service: Service) => string>> = {
  connect_failed: ({ namespace, name }) =>
    `compare targetPort with the port that the container listens on: kubectl -n ${namespace} get service ${name} -o yaml`,
  connect_timeout: ({ namespace }) =>
    `check whether a NetworkPolicy in namespace "${namespace}" blocks the agents of the mesh, and whether the Pods run`,
  no_endpoint: endpointsRemedy,
  no_healthy_endpoint: (service) => `check its endpoints on each node: ${statusOf(service)}`,
  breaker_open: (service) => `find out why calls failed: ${statusOf(service)}`,
};

/** Whether a text from elsewhere is a failure reason that this version knows. */
export function isReason(text: string): text is FailureReason {
  return Object.hasOwn(FAILURES, text);
}

/** What becomes of callers where nobody is there for them. */
const WITHOUT_ENDPOINT: Readonly<Record<Protocol, string>> = {
  http: 'calls get 503',
  tcp: 'connections are reset',
  udp: 'datagrams are dropped',
};

/** A Service with a port that is carried and that nobody can use, since it has no endpoint; null when there is none. */
export function noEndpointProblem(service: Service): Problem | null {
  const carried = service.ports.filter(isCarried);
  const bare = carried.filter(({ backend }) => backend.endpoints.length === 0);
  if (bare.length === 0) return null;
  const isWhole = bare.length === carried.length;
  return {
    severity: 'warning',
    ...aboutObject('Service', service.namespace, service.name),
    field: 'ready endpoints',
    value: isWhole ? '0' : `0 for port ${bare.map(portText).join(', ')}`,
    message: Object.entries(WITHOUT_ENDPOINT)
      .filter(([protocol]) => bare.some((port) => port.protocol === protocol))
      .map(([, text]) => text)
      .join(', '),
    remedy: endpointsRemedy(service),
    location: '',
  };
}

function endpointsRemedy({ namespace, name }: Service): string {
  return `check that Pods match its selector, run and are ready: kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${name}`;
}

function statusOf({ key }: Service): string {
  return `maesh status ${key}`;
}
