/** Random manifests: Services with random ports, endpoints, weights, places and policies. */

import { RETRY_CONDITIONS } from '../../../src/model/policy.ts';
import type { Dice } from './dice.ts';
import type { Behaviour } from './endpoints.ts';
import { CA, CALLERS, DESERTED, ENDPOINTS } from './ground.ts';

/** What a manifest file has. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

const NODES = { n1: 'z1', n2: 'z1', n3: 'z2' } as const;
const NAMESPACES = ['shop', 'bank'] as const;
const APPS = ['cart', 'pay', 'web'] as const;
export const SESSION = 'session';

const PORT_FIRST = 20_000;
/** Even ones for the first port of a Service, odd ones for the second. */
const PORT_PAIRS = 4_999;
/** Of many Services: only a port of the same number takes over for another. */
const PORT_SHARED = 4_711;

/** Objects of one mesh. All endpoints listen on `endpointPort`. */
export function randomObjects(dice: Dice, endpointPort: number): readonly Manifest[] {
  const objects = Object.entries(NODES).map(([name, zone]) => node(name, zone));
  CALLERS.slice(0, -1).forEach((address, i) => {
    objects.push(pod({ name: `caller-${i}`, namespace: 'shop', address, app: 'caller' }, dice));
  });
  for (const namespace of NAMESPACES) {
    objects.push(configMap(namespace));
    for (const app of dice.some(APPS, namespace === 'shop' ? 0.8 : 0.3)) {
      objects.push(...serviceObjects(dice, { namespace, app, endpointPort }));
    }
  }
  return objects;
}

/** Some objects are as before, some are gone, some are new or changed. */
export function changedObjects(
  dice: Dice,
  before: readonly Manifest[],
  endpointPort: number,
): readonly Manifest[] {
  const kept = dice.some(before, 0.8);
  const known = new Set(kept.map(nameOf));
  const other = randomObjects(dice, endpointPort).filter((each) => !known.has(nameOf(each)));
  return [...kept, ...other];
}

export function nameOf({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
}

/** Most endpoints are well; a `hang` needs a limit on tries, which every Service here has. */
export function randomBehaviour(dice: Dice): Map<string, Behaviour> {
  const isSick = dice.chance(0.6);
  const ill = (): Behaviour => dice.pick(['reset', 'hang', 'garbage', 500, 502, 503, 503, 404]);
  return new Map(ENDPOINTS.map((address) => [address, isSick && dice.chance(0.4) ? ill() : 'ok']));
}

function node(name: string, zone: string): Manifest {
  const labels = { 'topology.kubernetes.io/zone': zone };
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } };
}

function configMap(namespace: string): Manifest {
  const labels = { 'maesh.dev/upstream-ca': 'true' };
  const metadata = { name: 'cas', namespace, labels };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'ca.crt': CA.pem } };
}

interface Place {
  readonly namespace: string;
  readonly app: string;
  readonly endpointPort: number;
}

interface PodName {
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  readonly app: string;
}

function pod({ name, namespace, address, app }: PodName, dice: Dice, port = 0): Manifest {
  const nodeName = dice.pick(['', ...Object.keys(NODES)]);
  const weight = dice.pick(['', '', '', '0', '1', '40', '1000']);
  const annotations = weight === '' ? {} : { 'maesh.dev/weight': weight };
  const ready = dice.chance(0.9) ? 'True' : 'False';
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app }, ...(app === 'caller' ? {} : { annotations }) },
    spec: {
      ...(nodeName === '' ? {} : { nodeName }),
      containers: [{ name: 'main', ports: [{ name: 'http', containerPort: port || 80 }] }],
    },
    status: { phase: 'Running', podIP: address, conditions: [{ type: 'Ready', status: ready }] },
  };
}

function serviceObjects(dice: Dice, place: Place): readonly Manifest[] {
  const { namespace, app, endpointPort } = place;
  const ports = Array.from({ length: dice.int(1, 2) }, (_, i) => ({
    name: `p${i}`,
    port: PORT_FIRST + 2 * dice.pick([PORT_SHARED, dice.int(0, PORT_PAIRS)]) + i,
    targetPort: dice.chance(0.5) ? endpointPort : 'http',
  }));
  const hosts = dice.chance(0.5) ? ENDPOINTS : [...ENDPOINTS, ...DESERTED];
  const addresses = dice.some(hosts, dice.pick([0, 0.2, 0.4, 0.4, 0.7]));
  const annotations = { ...policyAnnotations(dice), ...ofSecondPort(dice, ports[1]?.port) };
  const metadata = { name: app, namespace, annotations };
  const isSelected = dice.chance(0.7);
  const service: Manifest = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { ports, ...(isSelected ? { selector: { app } } : {}), ...placeOf(dice) },
  };
  const pods = addresses.map((address, i) =>
    pod({ name: `${app}-${i}`, namespace, address, app }, dice, endpointPort),
  );
  if (isSelected) return [service, ...pods];
  const endpoints = addresses.map((address, i) => ({
    addresses: [address],
    targetRef: { kind: 'Pod', namespace, name: `${app}-${i}` },
    ...(dice.chance(0.3) ? { zone: 'z2' } : {}),
  }));
  const slice: Manifest = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    addressType: 'IPv4',
    metadata: { name: `${app}-x`, namespace, labels: { 'kubernetes.io/service-name': app } },
    ports: ports.map(({ name }) => ({ name, port: endpointPort })),
    endpoints,
  };
  return [service, slice, ...pods];
}

/** What a Service itself says of where its callers are led to. */
function placeOf(dice: Dice): Readonly<Record<string, unknown>> {
  const timeoutSeconds = dice.pick([1, 2, 10_800]);
  const affinity = {
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds } },
  };
  return {
    ...(dice.chance(0.25) ? affinity : {}),
    ...(dice.chance(0.2) ? { internalTrafficPolicy: 'Local' } : {}),
  };
}

const EXPRESSIONS = [
  'NetworkErrorRatio() > 0.3',
  'ResponseCodeRatio(500, 600, 0, 600) > 0.5',
  'LatencyAtQuantileMS(50.0) > 100000',
];

/** Back-offs are none: the clock stands still while a request is under way. */
function policyAnnotations(dice: Dice): Readonly<Record<string, string>> {
  const set: Record<string, string> = {
    'timeout-try': '10s',
    balance: dice.pick([
      'least-request',
      'round-robin',
      'weighted',
      'peak-ewma',
      'consistent-hash',
    ]),
  };
  const hash = dice.pick(['', 'source', 'header:X-User', 'cookie:user']);
  if (set['balance'] === 'consistent-hash' && hash !== '') set['hash-key'] = hash;
  if (dice.chance(0.4)) set['grpc-web'] = dice.pick(['*', 'https://app.example', 'nobody']);
  if (dice.chance(0.25)) set['affinity-cookie'] = SESSION;
  if (dice.chance(0.5)) set['locality'] = dice.pick(['none', 'prefer-node', 'prefer-zone']);
  if (dice.chance(0.3)) set['spill-over'] = String(dice.int(1, 4));
  if (dice.chance(0.2)) set['slow-start'] = '20s';
  if (dice.chance(0.3)) {
    set['ratelimit-average'] = String(dice.int(1, 20));
    set['ratelimit-burst'] = String(dice.int(1, 5));
    if (dice.chance(0.5)) set['ratelimit-per'] = 'caller';
    if (dice.chance(0.5)) set['ratelimit-callers'] = '8';
  }
  if (dice.chance(0.4)) {
    set['circuit-breaker-expression'] = dice.pick(EXPRESSIONS);
    set['breaker-open'] = '2s';
    set['breaker-recovery'] = '4s';
  }
  if (dice.chance(0.6)) addRetry(dice, set);
  if (dice.chance(0.5)) set['eject-consecutive-failures'] = String(dice.int(1, 3));
  if (dice.chance(0.3)) set['eject-max-ratio'] = dice.pick(['0', '0.5', '1']);
  if (dice.chance(0.4)) addHealthCheck(dice, set);
  if (dice.chance(0.4)) {
    set['failover'] = dice.pick(['shop/cart', 'shop/pay', 'web']);
    set['failover-below'] = dice.pick(['0', '0.6', '1']);
    set['failover-return'] = dice.pick(['0s', '1s', '1m']);
  }
  if (dice.chance(0.3)) set['limit-request-body'] = dice.pick(['10', '1000']);
  if (dice.chance(0.2)) set['limit-connections-per-endpoint'] = String(dice.int(1, 4));
  if (dice.chance(0.2)) set['limit-requests-in-flight'] = String(dice.int(1, 3));
  if (dice.chance(0.2)) set['scheme'] = dice.pick(['h2c', 'https', 'h2']);
  if (set['scheme'] !== undefined) addTls(dice, set);
  if (dice.chance(0.1)) set['traffic-type'] = 'tcp';
  if (dice.chance(0.05)) set['timeout-connect'] = 'no time';
  const names = Object.entries(set).map(([name, value]) => [`maesh.dev/${name}`, value] as const);
  return Object.fromEntries(names);
}

/** What the second port of a Service says otherwise. */
function ofSecondPort(dice: Dice, port: number | undefined): Readonly<Record<string, string>> {
  if (port === undefined || dice.chance(0.4)) return {};
  const said = dice.some(Object.entries(policyAnnotations(dice)), dice.pick([0.3, 1]));
  const [prefix, own] = ['maesh.dev/', `maesh.dev/port.${port}.`];
  return Object.fromEntries(said.map(([key, value]) => [key.replace(prefix, own), value]));
}

/** Whatever is believed by, the endpoints are in order; a ConfigMap that is not there believes nobody. */
function addTls(dice: Dice, set: Record<string, string>): void {
  const ca = dice.pick(['', 'configmap/cas', 'configmap/cas', 'configmap/none']);
  if (ca !== '') set['upstream-ca'] = ca;
  if (dice.chance(0.2)) set['upstream-verify'] = 'false';
}

function addHealthCheck(dice: Dice, set: Record<string, string>): void {
  set['health-check'] = dice.pick(['http', 'http', 'tcp']);
  set['health-check-interval'] = dice.pick(['1s', '5s']);
  set['health-check-failures'] = String(dice.int(1, 2));
  set['health-check-successes'] = String(dice.int(1, 2));
  if (dice.chance(0.3)) set['health-check-eject'] = 'false';
}

function addRetry(dice: Dice, set: Record<string, string>): void {
  set['retry-attempts'] = String(dice.int(1, 4));
  set['retry-backoff'] = '0s';
  set['retry-budget'] = '0';
  set['retry-budget-min'] = dice.pick(['0', '1', '10']);
  const on = dice.some([...RETRY_CONDITIONS], 0.6);
  if (on.length > 0) set['retry-on'] = on.join(',');
  if (dice.chance(0.4)) set['retry-statuses'] = dice.pick(['503', '502,503', '404,500']);
  if (dice.chance(0.3)) set['retry-non-idempotent'] = 'true';
  if (dice.chance(0.3)) set['retry-body-bytes'] = dice.pick(['0', '10']);
}
