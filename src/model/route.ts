/** The ways from a port of a Service to backends: who takes which way, and what holds on it. */

import type { BackendFilters, RouteFilters } from './filter.ts';
import type { Policies } from './policy.ts';
import type { TlsRule } from './rule.ts';
import type { Source } from './object-reference.ts';

/** A share of what takes a route. */
export interface RouteBackend {
  /** Id of a backend, of this Service or of another one. */
  readonly backend: string;
  /** Against its siblings; 0 takes nothing. */
  readonly weight: number;
  /**
   * Why the route may not lead there, as a sentence; '' when it may. Its share stays its share: requests of it get
   * 500 (`invalid_backend`), so that a mistake shows, and no other backend gets more than was meant for it.
   */
  readonly invalid: string;
  /** What it changes of the requests of its share; null for nothing, and where the protocol is not HTTP. */
  readonly filters: BackendFilters | null;
}

/** Who gets a share of the requests of a route, too. Its answers are dropped. */
export interface RouteMirror {
  /** Id of a backend, of this Service or of another one. */
  readonly backend: string;
  /** So many of `denominator` requests. */
  readonly numerator: number;
  /** Not below `numerator`, and not 0. */
  readonly denominator: number;
  /** Why the route may not lead there, as a sentence; '' when it may. Then nothing is copied there. */
  readonly invalid: string;
}

interface RouteOf<Match, Own, Filters, Mirror> {
  /** Of one port, each has a name of its own. */
  readonly name: string;
  /** Any of them takes a request or connection; without one, the route takes them all. */
  readonly matches: readonly Match[];
  /** What the route has of its own; what is missing is as the Service that was called has it. */
  readonly policies: Own;
  /** Null for none. */
  readonly filters: Filters | null;
  readonly backends: readonly RouteBackend[];
  /** Chance decides for each of them by itself. */
  readonly mirrors: readonly Mirror[];
  readonly source: Source;
}

/** What a path is compared in: unreserved bytes as they are, all others percent-encoded, without dot segments (RFC 3986 §6.2.2). */
export interface PathMatch {
  /** `prefix` takes whole elements: `/a` takes `/a` and `/a/b`, not `/ab`. */
  readonly kind: 'exact' | 'prefix';
  readonly value: string;
}

/** A name with exactly this value. */
export interface NamedMatch {
  readonly name: string;
  readonly value: string;
}

/** All of it must hold. */
export interface HttpMatch {
  /** Null takes every path. */
  readonly path: PathMatch | null;
  /** Case-sensitive (RFC 9110 §9.1); '' takes every method. */
  readonly method: string;
  /** Names are lower-case. Lines of one name count as one line, joined by `, ` (RFC 9110 §5.3). */
  readonly headers: readonly NamedMatch[];
  /** Names and values are decoded; of several of one name the first counts. */
  readonly query: readonly NamedMatch[];
}

/** How a route treats its requests. The other policies are those of the Service whose backend takes the request. */
export type RoutePolicies = Pick<Policies, 'retry' | 'timeouts' | 'affinity'>;

/** What a route may have of its own. Its rate limit acts beside that of the Service that was called, and lifts nothing. */
export type OwnPolicies = RoutePolicies & Pick<Policies, 'rateLimit'>;

/** The first route of a port that takes a request has it; what none takes gets 404 (`no_route`). */
export type HttpRoute = RouteOf<HttpMatch, Partial<OwnPolicies>, RouteFilters, RouteMirror>;

/** Of the TLS of callers, which is passed on as it is. */
export interface TlsMatch {
  readonly rule: TlsRule;
}

/**
 * As routes of HTTP; what none takes is reset. On a port of which no route has a match nothing is read before an endpoint has
 * accepted; on the others callers must speak TLS.
 */
export type TcpRoute = RouteOf<TlsMatch, Readonly<Record<string, never>>, never, never>;

/** Takes every datagram. */
export type UdpRoute = RouteOf<never, Readonly<Record<string, never>>, never, never>;

export type Route = HttpRoute | TcpRoute | UdpRoute;

/** The route that takes everything to one backend, as every protocol has it. */
export function onlyRoute(backend: string, source: Source): HttpRoute & TcpRoute & UdpRoute {
  const backends = [{ backend, weight: 1, invalid: '', filters: null }];
  return {
    name: 'default',
    backends,
    source,
    matches: [],
    policies: {},
    filters: null,
    mirrors: [],
  };
}
