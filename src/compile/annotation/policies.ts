/** From single annotations to whole policies: what goes with what, and what is missing. */

import type { ObjectRef } from '../../kube/store.ts';
import {
  DEFAULT_FAILOVER,
  DEFAULT_HEALTH_CHECK,
  DEFAULT_POLICIES,
  DEFAULT_RETRY,
} from '../../model/defaults.ts';
import type {
  AffinityPolicy,
  BalancePolicy,
  BreakerPolicy,
  EjectionPolicy,
  FailoverPolicy,
  GrpcWebPolicy,
  HealthCheckPolicy,
  LimitPolicy,
  Policies,
  PolicyName,
  ProxyProtocolPolicy,
  RateLimitPolicy,
  RetryPolicy,
  SourceAffinityPolicy,
  TimeoutPolicy,
} from '../../model/policy.ts';
import type { Source } from '../../model/object-reference.ts';
import { parseBreaker } from '../expression/breaker.ts';
import { type ObjectProblem } from '../object-problem.ts';
import type { Annotation, Annotations } from './read.ts';
import { DEFAULT_BREAKER } from './breaker.ts';
import { DEFAULT_RATE } from './table.ts';
import { describeReference } from '../../model/object-reference.ts';

export interface ServicePolicies {
  readonly policies: Policies;
  readonly sources: Readonly<Record<string, Source>>;
  readonly findings: readonly ObjectProblem[];
  /** Those among them that say of an annotation that it has no effect. */
  readonly idle: ReadonlySet<ObjectProblem>;
}

/** What fields of the Service itself say about policies. */
export interface SpecTraits {
  readonly affinitySeconds: number | null;
  readonly isNodeLocal: boolean;
  readonly trafficDistribution: string;
}

const NO_TRAITS: SpecTraits = {
  affinitySeconds: null,
  isNodeLocal: false,
  trafficDistribution: '',
};

const LOCALITY_OF_DISTRIBUTION: Readonly<Record<string, BalancePolicy['locality']>> = {
  PreferClose: 'prefer-zone',
  PreferSameZone: 'prefer-zone',
  PreferSameNode: 'prefer-node',
};

const AFFINITY_FIELD = 'spec.sessionAffinity';
const LOCAL_FIELD = 'spec.internalTrafficPolicy';

type CheckField = readonly [annotation: string, field: keyof HealthCheckPolicy];
const CHECK_PATH: CheckField = ['health-check-path', 'path'];
const CHECK_STATUS: CheckField = ['health-check-status', 'statuses'];
const CHECK_HOST: CheckField = ['health-check-host', 'host'];
const CHECK_GRPC_SERVICE: CheckField = ['health-check-grpc-service', 'grpcService'];

/** What checks of a kind do not look at. */
const USELESS_IN_CHECKS: Readonly<Record<HealthCheckPolicy['kind'], readonly CheckField[]>> = {
  http: [CHECK_GRPC_SERVICE],
  grpc: [CHECK_PATH, CHECK_STATUS],
  tcp: [CHECK_PATH, CHECK_STATUS, CHECK_HOST, CHECK_GRPC_SERVICE],
};

const PLAIN: ServicePolicies = {
  policies: DEFAULT_POLICIES,
  sources: {},
  findings: [],
  idle: new Set(),
};

/** The policies of a Service; what nobody sets, and what a bad value costs, is the default. */
export function policiesOf(
  annotations: Annotations,
  ref: ObjectRef,
  traits: SpecTraits = NO_TRAITS,
): ServicePolicies {
  const { affinitySeconds, isNodeLocal, trafficDistribution } = traits;
  const isPlain = affinitySeconds === null && !isNodeLocal && trafficDistribution === '';
  if (isPlain && annotations.values.size === 0) return PLAIN;
  return new PolicyReader(annotations, ref, traits).read();
}

class PolicyReader {
  readonly #ref: ObjectRef;
  readonly #set = new Map<string, Annotation>();
  readonly #findings: ObjectProblem[] = [];
  readonly #idleFindings = new Set<ObjectProblem>();
  /** Names whose value is not in force. */
  readonly #idle = new Set<string>();
  readonly #traits: SpecTraits;
  /** Policy fields that a field of the Service sets. */
  readonly #specFields = new Map<string, string>();

  constructor(annotations: Annotations, ref: ObjectRef, traits: SpecTraits) {
    this.#ref = ref;
    this.#traits = traits;
    const lost = new Set(annotations.bad.values());
    for (const [name, annotation] of annotations.values) {
      const { policy } = annotation.row;
      if (policy === null || !lost.has(policy)) this.#set.set(name, annotation);
    }
  }

  read(): ServicePolicies {
    const policies: Policies = {
      retry: this.#unlessLifted('retry', () => this.#retry()),
      timeouts: {
        ...DEFAULT_POLICIES.timeouts,
        ...this.#fields<TimeoutPolicy>('timeouts'),
      },
      balance: this.#balance(),
      affinity: this.#unlessLifted('affinity', () => this.#affinity()),
      ejection: this.#ejection(),
      healthCheck: this.#unlessLifted('healthCheck', () => this.#healthCheck()),
      failover: this.#unlessLifted('failover', () => this.#failover()),
      breaker: this.#unlessLifted('breaker', () => this.#breaker()),
      rateLimit: this.#unlessLifted('rateLimit', () => this.#rateLimit()),
      limits: { ...DEFAULT_POLICIES.limits, ...this.#fields<LimitPolicy>('limits') },
      sourceAffinity: this.#sourceAffinity(),
      grpcWeb: this.#unlessLifted('grpcWeb', () => this.#grpcWeb()),
      proxyProtocol: {
        ...DEFAULT_POLICIES.proxyProtocol,
        ...this.#fields<ProxyProtocolPolicy>('proxyProtocol'),
      },
    };
    const sources = this.#sources();
    return { policies, sources, findings: this.#findings, idle: this.#idleFindings };
  }

  /** `none` for its main annotation is for the whole policy. */
  #unlessLifted<T>(policy: PolicyName, read: () => T): T | null {
    const all = [...this.#set.values()].filter(({ row }) => row.policy === policy);
    const lifted = all.find(({ value }) => value === null);
    if (lifted === undefined) return read();
    const { name } = lifted.row;
    for (const { row } of all) {
      if (row.name === name) continue;
      this.#useless(row.name, `${name} is ${lifted.text}`, `remove it, or give ${name} a value`);
    }
    return null;
  }

  #retry(): RetryPolicy | null {
    const set = this.#fields<RetryPolicy>('retry');
    if (Object.keys(set).length === 0) return null;
    const order = this.#ordered('retry-backoff', 'retry-backoff-max', [
      DEFAULT_RETRY.backoffMs,
      DEFAULT_RETRY.backoffMaxMs,
    ]);
    if (order === null) return this.#drop('retry', null);
    const withStatuses = set.statuses !== undefined && set.on === undefined;
    const policy: RetryPolicy = {
      ...DEFAULT_RETRY,
      ...set,
      on: withStatuses ? [...DEFAULT_RETRY.on, 'status'] : (set.on ?? DEFAULT_RETRY.on),
      backoffMs: order[0],
      backoffMaxMs: order[1],
    };
    if (!policy.on.includes('status')) {
      this.#useless('retry-statuses', 'retry-on does not have status', 'add status to retry-on');
    }
    return policy;
  }

  #balance(): BalancePolicy {
    const set = this.#fields<BalancePolicy>('balance');
    const policy = {
      ...DEFAULT_POLICIES.balance,
      ...set,
      algorithm: this.#algorithm(set.algorithm),
      locality: this.#locality(set.locality),
    };
    if (policy.algorithm === 'consistent-hash') {
      return { ...policy, hashKey: set.hashKey ?? { kind: 'source' } };
    }
    this.#useless(
      'hash-key',
      `balance is ${policy.algorithm}`,
      'set maesh.dev/balance: consistent-hash',
    );
    return { ...policy, hashKey: null };
  }

  /** A source that is new, or forgotten, finds the endpoint that it would have had: on every node, after every restart. */
  #algorithm(annotated: BalancePolicy['algorithm'] | undefined): BalancePolicy['algorithm'] {
    if (annotated !== undefined) return annotated;
    if (this.#traits.affinitySeconds === null) return DEFAULT_POLICIES.balance.algorithm;
    this.#specFields.set('balance.algorithm', AFFINITY_FIELD);
    return 'consistent-hash';
  }

  #locality(annotated: BalancePolicy['locality'] | undefined): BalancePolicy['locality'] {
    const { isNodeLocal, trafficDistribution } = this.#traits;
    if (isNodeLocal) {
      for (const name of ['locality', 'spill-over']) {
        this.#useless(
          name,
          'internalTrafficPolicy is Local',
          'remove it, or set spec.internalTrafficPolicy to Cluster',
        );
      }
      this.#specFields.set('balance.locality', LOCAL_FIELD);
      return 'require-node';
    }
    if (annotated !== undefined) return annotated;
    const distributed = LOCALITY_OF_DISTRIBUTION[trafficDistribution];
    if (distributed === undefined) return DEFAULT_POLICIES.balance.locality;
    this.#specFields.set('balance.locality', 'spec.trafficDistribution');
    return distributed;
  }

  #sourceAffinity(): SourceAffinityPolicy | null {
    const { affinitySeconds } = this.#traits;
    if (affinitySeconds === null) return null;
    this.#specFields.set('sourceAffinity.timeoutMs', AFFINITY_FIELD);
    return { timeoutMs: affinitySeconds * 1_000 };
  }

  #affinity(): AffinityPolicy | null {
    const { cookie, maxAgeSeconds = 0 } = this.#fields<AffinityPolicy>('affinity');
    if (cookie !== undefined) return { cookie, maxAgeSeconds };
    this.#incomplete('affinity', 'affinity-cookie', 'session affinity');
    return null;
  }

  #ejection(): EjectionPolicy {
    const defaults = DEFAULT_POLICIES.ejection;
    const order = this.#ordered('eject-base', 'eject-max', [defaults.baseMs, defaults.maxMs]);
    if (order === null) return this.#drop('ejection', defaults);
    const [baseMs, maxMs] = order;
    return { ...defaults, ...this.#fields<EjectionPolicy>('ejection'), baseMs, maxMs };
  }

  #healthCheck(): HealthCheckPolicy | null {
    const set: { -readonly [F in keyof HealthCheckPolicy]?: HealthCheckPolicy[F] } =
      this.#fields<HealthCheckPolicy>('healthCheck');
    if (set.kind === undefined) {
      this.#incomplete('healthCheck', 'health-check', 'active health check');
      return null;
    }
    const { kind } = set;
    const because = `health-check is ${kind}`;
    for (const [name, field] of USELESS_IN_CHECKS[kind]) {
      this.#useless(name, because, 'remove it');
      delete set[field];
    }
    return { ...DEFAULT_HEALTH_CHECK, ...set, kind };
  }

  #failover(): FailoverPolicy | null {
    const set = this.#fields<FailoverPolicy>('failover');
    if (set.service === undefined) {
      this.#incomplete('failover', 'failover', 'failover');
      return null;
    }
    const { namespace, name } = this.#ref;
    const service = set.service.includes('/') ? set.service : `${namespace}/${set.service}`;
    if (service === `${namespace}/${name}`) {
      this.#useless('failover', 'it is this Service itself', 'name another one');
      return this.#drop('failover', null);
    }
    return { ...DEFAULT_FAILOVER, ...set, service };
  }

  #grpcWeb(): GrpcWebPolicy | null {
    const { origins } = this.#fields<GrpcWebPolicy>('grpcWeb');
    return origins === undefined ? null : { origins };
  }

  #breaker(): BreakerPolicy | null {
    const set = this.#fields<BreakerPolicy>('breaker');
    const parsed = set.text === undefined ? null : parseBreaker(set.text);
    if (set.text === undefined || parsed?.ok !== true) {
      this.#incomplete('breaker', 'circuit-breaker-expression', 'circuit breaker');
      return null;
    }
    return { ...DEFAULT_BREAKER, ...set, text: set.text, expression: parsed.value };
  }

  #rateLimit(): RateLimitPolicy | null {
    const set = this.#fields<RateLimitPolicy>('rateLimit');
    if (set.average === undefined) {
      this.#incomplete('rateLimit', 'ratelimit-average', 'rate limit');
      return null;
    }
    const policy = { ...DEFAULT_RATE, burst: set.average, ...set, average: set.average };
    if (policy.per !== 'caller') {
      const remedy = 'set maesh.dev/ratelimit-per: caller';
      this.#useless('ratelimit-callers', `ratelimit-per is ${policy.per}`, remedy);
    }
    return policy;
  }

  /** The annotated fields of a policy. */
  #fields<T>(policy: PolicyName): Partial<T> {
    const fields: Record<string, unknown> = {};
    for (const { row, value } of this.#set.values()) {
      if (row.policy === policy) fields[row.field] = value;
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `row` in the table holds the types
    return fields as Partial<T>;
  }

  /**
   * A start and a longest time of which one or both are set: the default of the other gives way. Null when both are
   * set and contradict each other.
   */
  #ordered(
    low: string,
    high: string,
    defaults: readonly [number, number],
  ): [number, number] | null {
    const lowSet = this.#set.get(low);
    const highSet = this.#set.get(high);
    const from = lowSet === undefined ? defaults[0] : Number(lowSet.value);
    const to = highSet === undefined ? defaults[1] : Number(highSet.value);
    if (from <= to) return [from, to];
    if (highSet === undefined) return [from, from];
    if (lowSet === undefined) return [to, to];
    this.#find('error', highSet, {
      message: `${high} is shorter than ${low}, which is ${lowSet.text}`,
      remedy: `write at least ${lowSet.text}; until then the defaults apply`,
    });
    return null;
  }

  /** Takes a whole policy back to its default. */
  #drop<T>(policy: string, fallback: T): T {
    for (const [name, { row }] of this.#set) if (row.policy === policy) this.#idle.add(name);
    return fallback;
  }

  #incomplete(policy: string, needed: string, what: string): void {
    for (const annotation of this.#set.values()) {
      if (annotation.row.policy !== policy) continue;
      this.#idle.add(annotation.row.name);
      const finding = this.#find('error', annotation, {
        message: `${annotation.row.name} has no effect without ${needed}`,
        remedy: `add maesh.dev/${needed}; until then there is no ${what}`,
      });
      this.#idleFindings.add(finding);
    }
  }

  #useless(name: string, because: string, remedy: string): void {
    const annotation = this.#set.get(name);
    if (annotation === undefined) return;
    this.#idle.add(name);
    const message = `${name} has no effect: ${because}`;
    this.#idleFindings.add(this.#find('warning', annotation, { message, remedy }));
  }

  #find(
    severity: 'error' | 'warning',
    annotation: Annotation,
    words: { readonly message: string; readonly remedy: string },
  ): ObjectProblem {
    const { field, text } = annotation;
    const finding: ObjectProblem = { severity, ref: this.#ref, field, value: text, ...words };
    this.#findings.push(finding);
    return finding;
  }

  #sources(): Record<string, Source> {
    const object = describeReference(this.#ref);
    const sources: Record<string, Source> = {};
    for (const name of [...this.#set.keys()].sort()) {
      const annotation = this.#set.get(name);
      if (annotation === undefined || this.#idle.has(name)) continue;
      const { policy, field } = annotation.row;
      const path = policy === null ? field : `${policy}.${field}`;
      sources[path] = { object, field: annotation.field };
    }
    for (const [path, field] of this.#specFields) sources[path] = { object, field };
    return sources;
  }
}
