/**
 * Every field that the stream carries, and what a reader does that does not know it. A field that is missing here does not
 * compile, so that whoever adds one to the model has to say which it is:
 *
 * - `first`: in the stream since format 1; every reader knows it.
 * - `refuse`: it narrows what the Service does (a match, access, TLS, a protocol, a locality). A reader that does not know it
 *   serves the whole Service not at all, since without the field it would serve more than was asked for.
 * - `ignore`: without it the Service does the same for the same callers, only less well. Doubtful ones are `refuse`.
 *
 * A field that came after the first ones has a value that means "not used" and is then not sent, so that a Service that does
 * not use it is served by all readers. Names of what must be known are `object.field`, or `object.field=word` for a word of a
 * field that has a closed set of them. An agent says in its hello which of these it knows (`UNDERSTOOD`), and is not sent
 * Services that need others. What is inside of a field that is `refuse` has to be read strictly: anything unknown in it is
 * an error, never a default.
 */

import type { CallerTls, Certificate } from '../model/credential.ts';
import type { EndpointTls } from '../model/endpoint-tls.ts';
import { type Endpoint, type Identity, NO_LABELS } from '../model/endpoint.ts';
import type {
  BalancePolicy,
  Policies,
  ProxyProtocolPolicy,
  RateLimitPolicy,
} from '../model/policy.ts';
import type {
  HttpMatch,
  NamedMatch,
  OwnPolicies,
  PathMatch,
  Route,
  RouteBackend,
  RouteMirror,
  TlsMatch,
} from '../model/route.ts';
import type { Service, ServicePort } from '../model/service.ts';
import { FILTER_TERMS } from './filter-wire.ts';
import { ObjectTerms } from './object-terms.ts';
import type { FieldsOf, Later, Table, WordsOf, WordStanding } from './object-terms.ts';
import type { SentBackend } from './scheme.ts';

type PolicyFields<Name extends keyof Policies> = FieldsOf<NonNullable<Policies[Name]>>;
/** Who is in doubt for a reason that a later version has is so for this one: it reads any word. So there is no field that must be known. */
type IdentityFields = {
  readonly [K in keyof Identity]-?: 'first' | (Later<Identity[K]> & { readonly unknown: 'ignore' });
};

const SERVICE: FieldsOf<Service> = {
  key: 'first',
  namespace: 'first',
  name: 'first',
  address: 'first',
  secondAddress: 'first',
  headless: 'first',
  ports: 'first',
  policies: 'first',
  sources: 'first',
};
const PORT: FieldsOf<ServicePort> = {
  name: 'first',
  port: 'first',
  proxyPort: 'first',
  protocol: 'first',
  because: { unknown: 'ignore', unused: '' },
  // Bytes that are passed on are passed on, whatever they are.
  passesTls: { unknown: 'ignore', unused: false },
  // Without it callers would be served plain HTTP.
  callerTls: { unknown: 'refuse', unused: null },
  // A limit of the port would be missing.
  policies: { unknown: 'refuse', unused: null },
  // Who knows `policies` knows these.
  sources: { unknown: 'ignore', unused: {} },
  routes: 'first',
  backend: 'first',
};
const ROUTE: FieldsOf<Route> = {
  name: 'first',
  matches: { unknown: 'refuse', unused: [] },
  // Tries or time that a route must not have are as wrong as a match that is left out.
  policies: { unknown: 'refuse', unused: {} },
  // What a filter takes out of a message would be in it; what it redirects would be served.
  filters: { unknown: 'refuse', unused: null },
  backends: 'first',
  // The same callers get the same answers; who should hear of their requests, too, does not.
  mirrors: { unknown: 'ignore', unused: [] },
  source: 'first',
};
const ROUTE_BACKEND: FieldsOf<RouteBackend> = {
  backend: 'first',
  weight: 'first',
  invalid: { unknown: 'refuse', unused: '' },
  filters: { unknown: 'refuse', unused: null },
};
const ROUTE_MIRROR: FieldsOf<RouteMirror> = {
  backend: 'first',
  numerator: 'first',
  denominator: 'first',
  invalid: 'first',
};
const HTTP_MATCH: FieldsOf<HttpMatch> = {
  path: 'first',
  method: 'first',
  headers: 'first',
  query: 'first',
};
/** Older readers know matches of HTTP alone. */
const TLS_MATCH: FieldsOf<TlsMatch> = {
  rule: { unknown: 'refuse', unused: { kind: 'all', of: [] } },
};
const PATH_MATCH: FieldsOf<PathMatch> = { kind: 'first', value: 'first' };
const NAMED_MATCH: FieldsOf<NamedMatch> = { name: 'first', value: 'first' };
const ROUTE_POLICIES: FieldsOf<OwnPolicies> = {
  retry: 'first',
  timeouts: 'first',
  affinity: 'first',
  rateLimit: { unknown: 'refuse', unused: null },
};
const BACKEND: FieldsOf<SentBackend> = {
  id: 'first',
  service: 'first',
  scheme: 'first',
  // Who does not know it does not carry TLS either, and goes on to serve the other ports. Inside, all of it must be known.
  tls: { unknown: 'ignore', unused: null },
  endpoints: 'first',
};
const ENDPOINT_TLS: FieldsOf<EndpointTls> = {
  serverName: 'first',
  trust: 'first',
  ca: 'first',
  // Endpoints that want none would take calls of nobody.
  client: { unknown: 'refuse', unused: null },
};
const CALLER_TLS: FieldsOf<CallerTls> = { certificates: 'first' };
const CERTIFICATE: FieldsOf<Certificate> = {
  secret: 'first',
  digest: 'first',
  names: 'first',
  notBeforeMs: 'first',
  notAfterMs: 'first',
};
const ENDPOINT: FieldsOf<Endpoint> = {
  address: 'first',
  port: 'first',
  weight: 'first',
  pod: 'first',
  node: 'first',
  zone: 'first',
};
const IDENTITY: IdentityFields = {
  address: 'first',
  namespace: 'first',
  pod: 'first',
  serviceAccount: 'first',
  node: 'first',
  zone: 'first',
  // Readers of the first version have no access rules.
  doubt: { unknown: 'ignore', unused: '' },
  // A rule that names a label is a field of its Service that must be known.
  labels: { unknown: 'ignore', unused: NO_LABELS },
};
const POLICIES: FieldsOf<Policies> = {
  retry: 'first',
  timeouts: 'first',
  balance: 'first',
  affinity: 'first',
  // Callers reach the same endpoints, only not always the same one.
  sourceAffinity: { unknown: 'ignore', unused: null },
  ejection: 'first',
  // The same callers reach the same endpoints; one that fails is found out by their requests alone.
  healthCheck: { unknown: 'ignore', unused: null },
  // Callers get what its own endpoints say, as before there was any.
  failover: { unknown: 'ignore', unused: null },
  breaker: 'first',
  rateLimit: 'first',
  limits: 'first',
  // The endpoint gets what it does not read, and nobody gets more than was asked for.
  grpcWeb: { unknown: 'ignore', unused: null },
  // Endpoints would wait for a header that does not come, or take one for what the caller says.
  proxyProtocol: { unknown: 'refuse', unused: { send: 'none', accept: false } },
};
const POLICY: { readonly [Name in keyof Policies]: PolicyFields<Name> } = {
  retry: {
    attempts: 'first',
    on: 'first',
    statuses: 'first',
    backoffMs: 'first',
    backoffMaxMs: 'first',
    budgetRatio: 'first',
    budgetMinPerSecond: 'first',
    bodyBytes: 'first',
    nonIdempotent: 'first',
  },
  timeouts: {
    connectMs: 'first',
    requestMs: 'first',
    tryMs: 'first',
    idleMs: 'first',
    // Tunnels stand for longer.
    tunnelMs: { unknown: 'ignore', unused: 0 },
    // Connections of an endpoint that left go on until it ends them.
    drainMs: { unknown: 'ignore', unused: 0 },
    // Peers that vanished are noticed after another time.
    peerMs: { unknown: 'ignore', unused: null },
    unacknowledgedMs: { unknown: 'ignore', unused: null },
  },
  balance: {
    algorithm: 'first',
    hashKey: 'first',
    locality: 'first',
    spillOverInFlight: 'first',
    slowStartMs: 'first',
  },
  affinity: { cookie: 'first', maxAgeSeconds: 'first' },
  sourceAffinity: { timeoutMs: 'first' },
  ejection: {
    consecutiveFailures: 'first',
    errorRate: 'first',
    errorRateMinRequests: 'first',
    baseMs: 'first',
    maxMs: 'first',
    maxEjectedRatio: 'first',
  },
  healthCheck: {
    kind: 'first',
    path: 'first',
    statuses: 'first',
    host: 'first',
    grpcService: 'first',
    port: 'first',
    intervalMs: 'first',
    timeoutMs: 'first',
    failures: 'first',
    successes: 'first',
    ejects: 'first',
  },
  failover: { service: 'first', below: 'first', returnMs: 'first' },
  breaker: {
    text: 'first',
    expression: 'first',
    checkPeriodMs: 'first',
    openMs: 'first',
    recoveryMs: 'first',
  },
  rateLimit: {
    average: 'first',
    periodMs: 'first',
    burst: 'first',
    per: 'first',
    callersMax: 'first',
  },
  limits: {
    connectionsPerEndpoint: 'first',
    // The same callers get the same answers; an endpoint may get more of them at a time than it should.
    requestsPerEndpoint: { unknown: 'ignore', unused: 0 },
    requestsInFlight: 'first',
    idleConnectionsPerEndpoint: 'first',
    idleConnectionMs: 'first',
    // The same requests get the same answers, on connections that live as long as before.
    connectionAgeMs: { unknown: 'ignore', unused: 3_600_000 },
    // One caller might take all there are.
    connectionsPerCaller: { unknown: 'refuse', unused: 0 },
    requestBodyBytes: 'first',
  },
  grpcWeb: { origins: 'first' },
  proxyProtocol: { send: 'first', accept: 'first' },
};

const ALGORITHMS: WordsOf<BalancePolicy['algorithm']> = {
  'least-request': 'first',
  'round-robin': 'first',
  weighted: 'first',
  'peak-ewma': 'first',
  'consistent-hash': 'first',
};
const LOCALITIES: WordsOf<BalancePolicy['locality']> = {
  none: 'first',
  'prefer-node': 'first',
  'prefer-zone': 'first',
  'require-node': 'refuse',
};
const PROXY_PROTOCOLS: WordsOf<ProxyProtocolPolicy['send']> = {
  none: 'first',
  v1: 'first',
  v2: 'first',
};
const RATE_LIMIT_KEYS: WordsOf<RateLimitPolicy['per']> = { service: 'first', caller: 'first' };

/** Fields of policies that have a closed set of words. */
export const WORDS = {
  balance: { algorithm: ALGORITHMS, locality: LOCALITIES },
  rateLimit: { per: RATE_LIMIT_KEYS },
  proxyProtocol: { send: PROXY_PROTOCOLS },
} as const;
/** How the value of a `pathMatch` is compared; of another kind a Service is refused. */
export const PATH_KINDS: WordsOf<PathMatch['kind']> = { exact: 'first', prefix: 'first' };
/** Of these an unknown word is refused as an unknown field is; of the others it costs the field, which has its default then. */
const STRICT_WORDS: ReadonlySet<string> = new Set(['balance.locality', 'proxyProtocol.send']);

type ObjectName =
  | 'service'
  | 'port'
  | 'route'
  | 'routeBackend'
  | 'routeMirror'
  | 'routePolicies'
  | 'httpMatch'
  | 'tlsMatch'
  | 'pathMatch'
  | 'namedMatch'
  | 'backend'
  | 'endpointTls'
  | 'callerTls'
  | 'certificate'
  | 'endpoint'
  | 'policies';

const TABLES: Readonly<Record<ObjectName, Table>> = {
  service: SERVICE,
  port: PORT,
  route: ROUTE,
  routeBackend: ROUTE_BACKEND,
  routeMirror: ROUTE_MIRROR,
  routePolicies: ROUTE_POLICIES,
  httpMatch: HTTP_MATCH,
  tlsMatch: TLS_MATCH,
  pathMatch: PATH_MATCH,
  namedMatch: NAMED_MATCH,
  backend: BACKEND,
  endpointTls: ENDPOINT_TLS,
  callerTls: CALLER_TLS,
  certificate: CERTIFICATE,
  endpoint: ENDPOINT,
  policies: POLICIES,
};

function termsOf(name: ObjectName): ObjectTerms {
  return new ObjectTerms(name, TABLES[name]);
}

export const TERMS = {
  service: termsOf('service'),
  port: termsOf('port'),
  route: termsOf('route'),
  routeBackend: termsOf('routeBackend'),
  routeMirror: termsOf('routeMirror'),
  routePolicies: termsOf('routePolicies'),
  httpMatch: termsOf('httpMatch'),
  tlsMatch: termsOf('tlsMatch'),
  pathMatch: termsOf('pathMatch'),
  namedMatch: termsOf('namedMatch'),
  backend: termsOf('backend'),
  endpointTls: termsOf('endpointTls'),
  callerTls: termsOf('callerTls'),
  certificate: termsOf('certificate'),
  endpoint: termsOf('endpoint'),
  policies: termsOf('policies'),
} as const;
/** The fields of each policy. */
export const POLICY_TERMS: ReadonlyMap<string, ObjectTerms> = new Map(
  Object.entries(POLICY).map(([name, table]) => [name, new ObjectTerms(name, table)]),
);
const IDENTITY_TERMS = new ObjectTerms('identity', IDENTITY);

interface WordField {
  readonly policy: string;
  readonly field: string;
  readonly words: Readonly<Record<string, WordStanding>>;
}
const WORD_FIELDS: readonly WordField[] = Object.entries(WORDS).flatMap(([policy, fields]) =>
  Object.entries(fields).map(([field, words]) => ({ policy, field, words })),
);

function namesOf(standing: 'refuse' | 'ignore'): string[] {
  const objects = [
    ...Object.values(TERMS),
    ...Object.values(FILTER_TERMS),
    ...POLICY_TERMS.values(),
    IDENTITY_TERMS,
  ];
  const words = WORD_FIELDS.flatMap(({ policy, field, words: all }) =>
    Object.keys(all).flatMap((word) =>
      all[word] === standing ? [`${policy}.${field}=${word}`] : [],
    ),
  );
  return [...objects.flatMap((terms) => terms.later(standing)), ...words].toSorted();
}

/** What this version knows of what must be known, for the hello of an agent. */
export const UNDERSTOOD: readonly string[] = namesOf('refuse');
/** What readers that do not know it may leave out, for the parts that a controller sends. */
export const IGNORABLE: readonly string[] = namesOf('ignore');

/** Tells what a reader must know to serve a Service. */
export type NeedsOf = (service: Service) => readonly string[];

const NOTHING: readonly string[] = [];

/** Sorted names of what a reader must know to serve the Service; most need nothing. */
export function needsOf(service: Service): readonly string[] {
  if (UNDERSTOOD.length === 0) return NOTHING;
  const needs = new Set<string>();
  TERMS.service.addNeeds(service, needs);
  addPolicyNeeds(service.policies, needs);
  for (const port of service.ports) {
    TERMS.port.addNeeds(port, needs);
    if (port.policies !== null) addPolicyNeeds(port.policies, needs);
    addRouteNeeds(port, needs);
    TERMS.backend.addNeeds(port.backend, needs);
    if (port.backend.tls !== null) TERMS.endpointTls.addNeeds(port.backend.tls, needs);
    if (TERMS.endpoint.isFirst) continue;
    for (const endpoint of port.backend.endpoints) TERMS.endpoint.addNeeds(endpoint, needs);
  }
  return needs.size === 0 ? NOTHING : [...needs].toSorted();
}

function addRouteNeeds({ protocol, routes }: ServicePort, needs: Set<string>): void {
  for (const route of routes) {
    TERMS.route.addNeeds(route, needs);
    if (protocol === 'tcp')
      for (const match of route.matches) TERMS.tlsMatch.addNeeds(match, needs);
    TERMS.routePolicies.addNeeds({ rateLimit: null, ...route.policies }, needs);
    for (const backend of route.backends) TERMS.routeBackend.addNeeds(backend, needs);
    for (const mirror of route.mirrors) TERMS.routeMirror.addNeeds(mirror, needs);
  }
}

function addPolicyNeeds(policies: Policies, needs: Set<string>): void {
  TERMS.policies.addNeeds(policies, needs);
  for (const [name, terms] of POLICY_TERMS) {
    const policy: unknown = Reflect.get(policies, name);
    if (typeof policy === 'object' && policy !== null) terms.addNeeds(policy, needs);
  }
  for (const { policy, field, words } of WORD_FIELDS) {
    const word = wordOf(policies, policy, field);
    if (word !== null && words[word] === 'refuse') needs.add(`${policy}.${field}=${word}`);
  }
}

/** Adds the words that are not known here and that nothing may be put in for: in what is `strict`, for none. */
export function addUnknownWords(
  policies: object,
  ignorable: ReadonlySet<string>,
  unknown: Set<string>,
  strict: boolean,
): void {
  for (const { policy, field, words } of WORD_FIELDS) {
    const word = wordOf(policies, policy, field);
    if (word === null || Object.hasOwn(words, word)) continue;
    const name = `${policy}.${field}`;
    const term = `${name}=${word}`;
    if ((strict || STRICT_WORDS.has(name)) && !ignorable.has(term)) unknown.add(term);
  }
}

function wordOf(policies: object, policy: string, field: string): string | null {
  const value: unknown = Reflect.get(policies, policy);
  if (typeof value !== 'object' || value === null) return null;
  const word: unknown = Reflect.get(value, field);
  if (word === undefined) return null;
  return typeof word === 'string' ? word : JSON.stringify(word);
}
