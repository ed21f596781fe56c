/** A view for tests of the admin server in which every field and every state of the API occurs. */

import { CHECK_STATES, type CheckFacts } from '../../src/model/health-check.ts';
import type {
  AdminView,
  ConnectedAgent,
  OutsideService,
  ThreadsView,
} from '../../src/admin/view.ts';
import type { EndpointHealth } from '../../src/model/stats.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import { RETRY_CONDITIONS } from '../../src/model/policy.ts';
import type { Expression } from '../../src/model/expression.ts';
import type { Identity } from '../../src/model/endpoint.ts';
import type { Problem, Service, Snapshot } from '../../src/model/service.ts';
import { exampleEndpoint, exampleService } from './model.ts';
import { type About, aboutObject, aboutText } from '../../src/model/object-reference.ts';

const NETWORK: Expression = {
  kind: 'compare',
  metric: { kind: 'network-error-ratio' },
  op: '>',
  value: 0.5,
};
const CODES: Expression = {
  kind: 'compare',
  metric: { kind: 'response-code-ratio', from: 500, to: 600, dividedByFrom: 0, dividedByTo: 600 },
  op: '>=',
  value: 0.25,
};
const LATENCY: Expression = {
  kind: 'compare',
  metric: { kind: 'latency-at-quantile', quantile: 99.9 },
  op: '<',
  value: 50,
};
const EXPRESSION: Expression = {
  kind: 'or',
  left: { kind: 'and', left: NETWORK, right: { kind: 'not', operand: { ...CODES, op: '<=' } } },
  right: {
    kind: 'or',
    left: { ...LATENCY, op: '==' },
    right: { kind: 'and', left: CODES, right: { ...LATENCY, op: '!=' } },
  },
};

const ENDPOINTS = [
  exampleEndpoint('127.2.0.1', { pod: 'shop/web-1', node: 'n1', zone: 'z1' }),
  exampleEndpoint('127.2.0.2', { weight: 0 }),
  exampleEndpoint('fd00::3'),
];

const TCP_CHECK = { ...DEFAULT_HEALTH_CHECK, kind: 'tcp' } as const;
const GRPC_CHECK = { ...DEFAULT_HEALTH_CHECK, kind: 'grpc' } as const;

function breaker(expression: Expression) {
  return { text: 'as written', expression, checkPeriodMs: 100, openMs: 10_000, recoveryMs: 10_000 };
}

function web(): Service {
  const service = exampleService('shop/web', {
    endpoints: ENDPOINTS,
    policies: {
      retry: { ...DEFAULT_RETRY, on: RETRY_CONDITIONS },
      breaker: breaker(EXPRESSION),
      rateLimit: { average: 10, periodMs: 1_000, burst: 20, per: 'caller', callersMax: 1_024 },
      affinity: { cookie: 'maesh', maxAgeSeconds: 0 },
      sourceAffinity: { timeoutMs: 10_800_000 },
      healthCheck: DEFAULT_HEALTH_CHECK,
      failover: { service: 'other/web', below: 0.5, returnMs: 10_000 },
      grpcWeb: { origins: ['https://app.example'] },
      timeouts: { ...DEFAULT_POLICIES.timeouts, peerMs: 60_000, unacknowledgedMs: 30_000 },
    },
  });
  const source = {
    object: 'Service shop/web',
    field: 'metadata.annotations["maesh.dev/retry-attempts"]',
  };
  return { ...service, sources: { 'retry.attempts': source } };
}

export class ExampleView implements AdminView {
  pending: readonly string[] = [];
  /** Makes threads and metrics throw. */
  broken = false;
  /** Makes the metrics page go on until the reader leaves. */
  endless = false;
  domains: readonly string[] = ['maesh', 'traefik.mesh'];
  services: readonly Service[] = [
    web(),
    exampleService('shop/api', {
      policies: {
        breaker: breaker(NETWORK),
        healthCheck: TCP_CHECK,
        proxyProtocol: { send: 'v1', accept: true },
      },
    }),
    exampleService('other/web', {
      policies: {
        breaker: breaker(LATENCY),
        healthCheck: GRPC_CHECK,
        proxyProtocol: { send: 'v2', accept: false },
      },
    }),
  ];
  #stopped: (() => void) | null = null;

  readonly figures: AdminView['figures'] = {
    breaker: (key) => (key === 'shop/web' ? 'open' : key === 'shop/api' ? 'recovering' : 'closed'),
    inFlight: () => 0,
    endpoint: (_, endpoint) => ({
      health: healthOf(endpoint),
      inFlight: 1,
      requests: 2,
      ejections: 3,
      connections: 4,
    }),
    serviceStats: () => ({
      windowMs: 5_000,
      requests: 63,
      failed: 1,
      latency: [
        [1, 2, 60],
        [4_000_000, null, 3],
      ],
      requestsPerSecond: 12.5,
      successRatio: 0.99,
      p50Ms: 1.5,
      p95Ms: 2.5,
      p99Ms: 3.5,
      retriesPerSecond: 0.5,
      rateLimitedPerSecond: 0,
      failedOverPerSecond: 0,
      breaker: 'open',
      inFlight: 2,
    }),
    endpointStats: (_, endpoint) => ({
      windowMs: 0,
      requests: 0,
      failed: 0,
      latency: [],
      requestsPerSecond: 0,
      successRatio: null,
      p50Ms: null,
      health: healthOf(endpoint),
      inFlight: 0,
      connections: 0,
      recentFailures: 0.5,
      check: checkOf(endpoint),
    }),
  };

  readiness(): { ready: boolean; pending: readonly string[] } {
    return { ready: this.pending.length === 0, pending: this.pending };
  }

  snapshot(): Snapshot {
    const identity = {
      address: '127.1.0.5',
      namespace: 'shop',
      pod: 'client',
      serviceAccount: 'default',
      node: '',
      zone: '',
      doubt: '',
      labels: {},
    } as const;
    return {
      version: 7,
      services: new Map(this.services.map((service) => [service.key, service])),
      identities: new Map<string, Identity>([
        [identity.address, identity],
        ['127.1.0.6', { ...identity, address: '127.1.0.6', doubt: 'terminating' }],
        ['127.1.0.7', { ...identity, address: '127.1.0.7', doubt: 'unknown' }],
      ]),
    };
  }

  problems(): readonly Problem[] {
    return [
      problem('error', aboutObject('Service', 'shop', 'api')),
      problem('warning', aboutObject('Service', 'other', 'web')),
      problem('error', aboutText('a.yaml')),
    ];
  }

  dataPath(): string {
    return 'works';
  }

  agents(): readonly ConnectedAgent[] {
    return [
      {
        agent: 'maesh/maesh-agent-x7k2p',
        node: 'n1',
        build: '0.1.0',
        remote: '10.244.1.7:40112',
        connectedMs: 61_000,
        sentVersion: 7,
        servedVersion: 6,
        lagMs: 12,
        failures: ['port 10001: EADDRINUSE'],
        carries: ['http'],
        dataPath: 'no-connection (ETIMEDOUT)',
        notServed: [{ service: 'shop/web', unknown: ['route.match'] }],
      },
    ];
  }

  outside(namespace: string): readonly OutsideService[] {
    const all = [
      { service: 'shop/legacy', reason: 'maesh.dev/mesh is disabled' },
      { service: 'other/db', reason: 'opt-in mode' },
    ];
    return all.filter(({ service }) => service.startsWith(namespace));
  }

  threads(): ThreadsView {
    if (this.broken) throw new Error('secret of the stack');
    const states = ['starting', 'serving', 'draining', 'dead'] as const;
    return {
      restarts: 1,
      threads: states.map((state, thread) => ({
        thread,
        state,
        configVersion: 7,
        listeners: 3,
        sockets: (['unknown', 'system', 'runtime', 'unknown'] as const)[thread] ?? 'unknown',
        socketsReason: thread === 2 ? 'no memory below 2 GiB' : '',
      })),
    };
  }

  async *metrics(): AsyncGenerator<string, void, undefined> {
    yield '# HELP up x\n# TYPE up gauge\n';
    if (this.broken) throw new Error('secret of the stack');
    try {
      while (this.endless) yield await Promise.resolve(`up 1\n`.repeat(10_000));
      yield 'up 1\n';
    } finally {
      this.#stopped?.();
    }
  }

  /** Resolves when the next metrics page that somebody reads is given up or ends. */
  untilStopped(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#stopped = resolve;
    return promise;
  }
}

export function exampleAdminView(): ExampleView {
  return new ExampleView();
}

/** In turn: each state occurs. */
let checks = 0;

function checkOf(endpoint: Endpoint): CheckFacts | null {
  if (endpoint === ENDPOINTS[0]) return null;
  const outcome = { result: 'bad_status', detail: 500, reason: 'status 500' } as const;
  const state = CHECK_STATES[checks++ % CHECK_STATES.length] ?? 'unknown';
  return { ...outcome, state, ejected: true, ageMs: 1_250.5 };
}

function healthOf(endpoint: Endpoint): EndpointHealth {
  if (endpoint === ENDPOINTS[0]) return 'healthy';
  return endpoint === ENDPOINTS[1] ? 'ejected' : 'probing';
}

function problem(severity: Problem['severity'], about: About): Problem {
  return {
    severity,
    ...about,
    field: 'metadata.annotations["maesh.dev/retry-attempts"]',
    value: 'many',
    message: 'Cannot use "many"',
    remedy: 'give a number from 1 to 10',
    location: 'a.yaml:3:5',
  };
}
