/**
 * What `maesh explain` says about one request: plain data, printed as it is by `-o json` (docs/explain.schema.json).
 * Fields may be added, none is renamed or removed.
 */

import type { EndpointTls } from '../model/endpoint-tls.ts';
import type { Identity } from '../model/endpoint.ts';
import type { FailureReason } from '../model/failure.ts';
import type { RetryCondition } from '../model/policy.ts';
import type { Source } from '../model/object-reference.ts';
import type { EndpointProtocol, Protocol } from '../model/service.ts';

/** In the fixed order in which a request goes through them. */
export const PHASES = [
  'accept',
  'head',
  'identify',
  'service',
  'authorise',
  'rate-limit',
  'route',
  'backend',
  'breaker',
  'endpoint',
  'forward',
] as const;

export type PhaseName = (typeof PHASES)[number];

/**
 * `passed`: the request goes on. `maybe`: it goes on by chance. `ended`: it does not. `off`: nothing is asked of it here.
 * `skipped`: it does not come this far.
 */
export type PhaseState = 'passed' | 'maybe' | 'ended' | 'off' | 'skipped';

export interface Phase {
  readonly name: PhaseName;
  readonly state: PhaseState;
  /** What happens and why, as a sentence. */
  readonly text: string;
}

/** One way for the request to end, with its share of such requests: 0 to 1, all together 1. */
export type Outcome =
  | { readonly kind: 'forwarded'; readonly share: number; readonly text: string }
  /** The mesh answers itself. */
  | {
      readonly kind: 'answered';
      readonly share: number;
      readonly text: string;
      readonly reason: FailureReason;
      readonly status: number;
      /** What Retry-After says; null without one. */
      readonly retryAfterSeconds: number | null;
      /** What a caller of gRPC is told, whose `status` is 200; null for others. */
      readonly grpc: GrpcAnswerFacts | null;
    }
  /** The mesh resets a connection of TCP. */
  | {
      readonly kind: 'reset';
      readonly share: number;
      readonly text: string;
      readonly reason: FailureReason;
    }
  /** The mesh drops a datagram of UDP. */
  | {
      readonly kind: 'dropped';
      readonly share: number;
      readonly text: string;
      readonly reason: FailureReason;
    }
  /** The route sends the caller elsewhere. */
  | {
      readonly kind: 'redirected';
      readonly share: 1;
      readonly text: string;
      readonly status: number;
      readonly location: string;
      /** Fields that the route adds to the answer. */
      readonly added: readonly FieldFacts[];
    }
  /** The mesh tells a browser that pages of its origin may call in gRPC-Web. */
  | {
      readonly kind: 'preflight';
      readonly share: 1;
      readonly text: string;
      readonly status: number;
    }
  /** No mesh port takes such a connection. */
  | { readonly kind: 'unreachable'; readonly share: 1; readonly text: string };

export interface GrpcAnswerFacts {
  /** `grpc-status`. */
  readonly status: number;
  /** Its name, as `UNAVAILABLE`. */
  readonly name: string;
  /** What `grpc-retry-pushback-ms` says; null without one. */
  readonly pushbackMs: number | null;
}

export interface FieldFacts {
  readonly name: string;
  readonly value: string;
}

/** What filters of the route and of the backend change. */
export interface ChangeFacts {
  /** Path and query as they leave; null where they are not changed, as below. */
  readonly target: string | null;
  readonly host: string | null;
  /** Lower-case names of fields of the request that stay behind. */
  readonly removed: readonly string[];
  readonly added: readonly FieldFacts[];
  readonly response: {
    /** Lower-case names of fields that stay behind if they come. */
    readonly removed: readonly string[];
    readonly added: readonly FieldFacts[];
  };
}

/** All but `url` is '' for a connection of TCP and a datagram of UDP; of TLS, `host` is the server name that it asks for. */
export interface RequestFacts {
  readonly method: string;
  readonly url: string;
  /** As sent on to the endpoint, unless filters change it; '' when the head is not valid. */
  readonly target: string;
  /** Host and port that the request names; '' when the head is not valid. */
  readonly host: string;
}

export interface CallerFacts {
  readonly address: string;
  /** Null for a caller that is no Pod of the mesh. */
  readonly identity: Identity | null;
}

export interface ServiceFacts {
  /** `namespace/name`. */
  readonly key: string;
  readonly address: string;
  readonly port: number;
  /** '' without one. */
  readonly portName: string;
  /** `http`, or `tcp` or `udp`: then it is a connection or a datagram that is explained, and no request. */
  readonly protocol: Protocol;
  /** Callers speak TLS with the endpoints, which the mesh passes on. */
  readonly tls: boolean;
  /** What decided the protocol: `appProtocol: grpc`; '' where that is not known. */
  readonly because: string;
}

export interface RouteFacts {
  readonly name: string;
  /** Whether it takes the request. */
  readonly taken: boolean;
  /** Why, or why not. */
  readonly reason: string;
  /** What the route has of its own; the other policies are below. */
  readonly policies: readonly PolicyField[];
  readonly source: Source;
}

export interface RetryFacts {
  /** Tries in all, the first included. */
  readonly tries: number;
  /** What this request is tried again after. */
  readonly on: readonly RetryCondition[];
  /** What `status` stands for there. */
  readonly statuses: readonly number[];
  /** Why it is not tried again after the others. */
  readonly not: readonly { readonly condition: RetryCondition; readonly reason: string }[];
  /** Retries that the budget still has; null without a retry policy, which needs none. */
  readonly budget: number | null;
}

export interface EndpointFacts {
  readonly address: string;
  readonly port: number;
  /** `namespace/name`, '' without one. */
  readonly pod: string;
  readonly node: string;
  readonly zone: string;
  readonly weight: number;
  /** The nearest tier of the caller that it is in; '' when it takes no traffic. */
  readonly tier: 'node' | 'zone' | 'all' | '';
  /** Probability that the request goes there first, once it is for this backend and passes its breaker: 0 to 1. */
  readonly odds: number;
  /** Why. */
  readonly reason: string;
  /** Null when nothing is known of a running mesh. */
  readonly health: 'healthy' | 'ejected' | 'probing' | null;
  /** Null when nothing is known of a running mesh. */
  readonly inFlight: number | null;
  /** Open ones, of all proxy threads; null when nothing is known of a running mesh, or its agent does not tell. */
  readonly connections: number | null;
}

export interface BreakerFacts {
  readonly state: 'closed' | 'open' | 'recovering';
  readonly expression: string;
  /** Share of requests that it lets pass now, 0 to 1. */
  readonly share: number;
}

/** A certificate that the mesh shows. */
export interface CertificateFacts {
  /** `namespace/name` of its Secret. */
  readonly secret: string;
  /** When it is over; '' while it cannot be used. */
  readonly expires: string;
}

export interface TlsFacts {
  /** What the certificates of endpoints must be for. */
  readonly serverName: string;
  /** `public`: CAs of the runtime. `given`: those of the annotation `upstream-ca`. `anyone`: nothing is verified. `nobody`: the CAs cannot be used. */
  readonly believes: EndpointTls['trust'] | 'nobody';
  /** What the proxy proves itself with; null for nothing. */
  readonly client: CertificateFacts | null;
}

export interface BackendFacts {
  /** `namespace/name:port`. */
  readonly id: string;
  /** The backend that it takes over for, whose endpoints are too few; '' for none. */
  readonly instead: string;
  /** `namespace/name` of the Service whose policies rule it; '' when there is none. */
  readonly service: string;
  readonly weight: number;
  /** Probability that the route leads here, 0 to 1. */
  readonly odds: number;
  /** What is spoken to its endpoints; null when no Service has it. */
  readonly protocol: EndpointProtocol | null;
  /** It is spoken inside TLS; null where it is not. */
  readonly tls: TlsFacts | null;
  /**
   * How the endpoint is asked for another protocol: `upgrade` of HTTP/1.1, or `extended-connect` of HTTP/2; `left-out` where it is not,
   * since HTTP/2 has no such upgrade. Null where the request asks for none, or no Service has the backend.
   */
  readonly upgrade: 'upgrade' | 'extended-connect' | 'left-out' | null;
  /** Null without one. */
  readonly breaker: BreakerFacts | null;
  /** Null where filters change nothing. */
  readonly changes: ChangeFacts | null;
  /** What picks the endpoint, as a sentence. */
  readonly picks: string;
  readonly endpoints: readonly EndpointFacts[];
  /** Null when no endpoint can be tried. */
  readonly retries: RetryFacts | null;
}

export interface MirrorFacts {
  /** `namespace/name:port`. */
  readonly backend: string;
  /** `namespace/name` of the Service that it belongs to; '' when there is none, or it may not be used. */
  readonly service: string;
  /** Share of such requests, of those that go on, that are copied there: 0 to 1. */
  readonly share: number;
  /** Whether it gets a copy, and why not, as a sentence without its subject. */
  readonly text: string;
}

export interface PolicyFacts {
  /** `namespace/name`. */
  readonly service: string;
  /** The port that says otherwise than its Service, and that these hold on; null where the Service says it all. */
  readonly port: number | null;
  readonly fields: readonly PolicyField[];
}

export interface PolicyField {
  /** `retry.attempts`; `retry` alone for a policy that is not set. */
  readonly path: string;
  /** As in the model: times in milliseconds, sizes in bytes; null when it is not set. */
  readonly value: unknown;
  /** Null for a default. */
  readonly source: Source | null;
}

export interface Explanation {
  /** In a cluster, whose state this is: `agent maesh/maesh-agent-x on node n1 of https://…`; else ''. */
  readonly asked: string;
  readonly request: RequestFacts;
  readonly caller: CallerFacts;
  /** Whether the request may be forwarded: some outcome is `forwarded`. */
  readonly forwarded: boolean;
  /** The most likely one first. */
  readonly outcomes: readonly Outcome[];
  /** All of them, in order. */
  readonly phases: readonly Phase[];
  /** Null when the request reaches none. */
  readonly service: ServiceFacts | null;
  /** All routes of the port, in order. */
  readonly routes: readonly RouteFacts[];
  readonly backends: readonly BackendFacts[];
  /** Of the route that takes the request. */
  readonly mirrors: readonly MirrorFacts[];
  /** Of the Service that was called, then of those whose backends take a part. */
  readonly policies: readonly PolicyFacts[];
  /** Assumptions about what is not known, as sentences. */
  readonly assumptions: readonly string[];
}
