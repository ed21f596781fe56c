/** The answers of `/api/…`, each made from the snapshot of the moment and the figures of the present. */

import { readVersion } from '../base/version.ts';
import { namedCertificates } from '../model/certificates.ts';
import {
  isCarried,
  type Problem,
  type Protocol,
  scopesOf,
  type Service,
} from '../model/service.ts';
import type { BreakerState, EndpointStats } from '../model/stats.ts';
import { type Answer, json, jsonLists } from './answer.ts';
import { type Filter, keepsIdentity, keepsProblem, keepsService } from './query.ts';
import type { AdminView, OutsideService } from './view.ts';

/** The Services, identities and problems that the proxies run, as in the model. */
export function snapshotAnswer(view: AdminView, filter: Filter): Answer {
  const { version, services, identities } = view.snapshot();
  return jsonLists(
    { version, domains: view.domains },
    {
      services: () => kept(services.values(), (service) => keepsService(filter, service)),
      identities: () => kept(identities.values(), (identity) => keepsIdentity(filter, identity)),
    },
  );
}

export function problemsAnswer(view: AdminView, filter: Filter): Answer {
  const { version } = view.snapshot();
  return jsonLists(
    { version },
    { problems: () => kept(view.problems(), (problem) => keepsProblem(filter, problem)) },
  );
}

/** One line per connected agent: which version it runs. */
export function agentsAnswer(view: AdminView): Answer {
  const { version } = view.snapshot();
  const own = { version, build: readVersion(), dataPath: view.dataPath() };
  return jsonLists(own, { agents: () => view.agents() });
}

/** One line per Service that is not part of the mesh, and why. */
export function outsideAnswer(view: AdminView, { namespace, service }: Filter): Answer {
  const { version } = view.snapshot();
  const isWanted = ({ service: key }: OutsideService): boolean =>
    service === '' || key.endsWith('/*') || key.slice(key.indexOf('/') + 1) === service;
  return jsonLists({ version }, { services: () => kept(view.outside(namespace), isWanted) });
}

export function threadsAnswer(view: AdminView): Answer {
  const { restarts, threads } = view.threads();
  return json({ restarts, threads });
}

/** One line per Service: what it is called, what stands behind it, whether something is wrong. */
export function servicesAnswer(view: AdminView, filter: Filter): Answer {
  const { version, services } = view.snapshot();
  return jsonLists(
    { version },
    {
      *services() {
        const counts = countByService(view.problems());
        for (const service of kept(services.values(), (each) => keepsService(filter, each))) {
          yield {
            key: service.key,
            namespace: service.namespace,
            name: service.name,
            address: service.address,
            names: view.domains.map((domain) => `${service.name}.${service.namespace}.${domain}`),
            ports: service.ports.map((port) => ({
              name: port.name,
              port: port.port,
              protocol: port.protocol,
              tls: port.passesTls,
              because: port.because,
              carried: isCarried(port),
            })),
            certificates: namedCertificates(service.ports),
            endpoints: countEndpoints(view, service),
            breaker: breakerOf(view, service),
            problems: counts.get(service.key) ?? 0,
          };
        }
      },
    },
  );
}

/** One line per endpoint of a Service port. */
export function endpointsAnswer(view: AdminView, filter: Filter): Answer {
  const { version, services } = view.snapshot();
  return jsonLists(
    { version },
    {
      *endpoints() {
        for (const service of kept(services.values(), (each) => keepsService(filter, each))) {
          for (const { port: servicePort, protocol, backend } of service.ports) {
            for (const endpoint of backend.endpoints) {
              const { address, port, weight, pod, node, zone } = endpoint;
              const at = {
                service: service.key,
                servicePort,
                protocol,
                address,
                port,
                weight,
                pod,
                node,
                zone,
              };
              yield { ...at, ...view.figures.endpoint(backend.id, endpoint) };
            }
          }
        }
      },
    },
  );
}

/** Rates and quantiles of the last seconds; the first answer after a pause has only the states. */
export function statsAnswer(view: AdminView, filter: Filter): Answer {
  const { version, services } = view.snapshot();
  return jsonLists(
    { version },
    {
      sockets: () => socketKinds(view),
      *services() {
        for (const service of kept(services.values(), (each) => keepsService(filter, each))) {
          const { key } = service;
          const ports = portStats(view, service);
          const stats = view.figures.serviceStats(
            key,
            ports.map(({ id }) => id),
          );
          const breaker = breakerOf(view, service);
          const all = endpointStats(view, service);
          const endpoints = filter.isOnlyActive ? all.filter(isActive) : all;
          const isQuiet = stats.requests === 0 && stats.inFlight === 0 && endpoints.length === 0;
          if (filter.isOnlyActive && isQuiet && BREAKERS_AT_REST.has(breaker)) continue;
          const rest = restStats(view, service);
          yield {
            key,
            ...stats,
            breaker,
            endpoints,
            ports: ports.map(({ shown }) => shown),
            rest,
          };
        }
      },
    },
  );
}

/** What the threads have, each kind once for each reason. */
function socketKinds(view: AdminView): readonly Readonly<{ kind: string; reason: string }>[] {
  const kinds = new Map<string, { kind: string; reason: string }>();
  for (const { sockets: kind, socketsReason: reason } of view.threads().threads)
    if (kind !== 'unknown') kinds.set(`${kind} ${reason}`, { kind, reason });
  return [...kinds.values()];
}

const BREAKERS_AT_REST: ReadonlySet<string> = new Set(['none', 'closed']);

function isActive({ requests, inFlight, health }: EndpointStats): boolean {
  return requests > 0 || inFlight > 0 || health !== 'healthy';
}

function endpointStats(view: AdminView, service: Service): EndpointStats[] {
  return service.ports.filter(isCarried).flatMap(({ port: servicePort, protocol, backend }) =>
    backend.endpoints.map((endpoint) => {
      const { address, port, pod } = endpoint;
      return {
        servicePort,
        protocol,
        address,
        port,
        pod,
        ...view.figures.endpointStats(backend.id, endpoint),
      };
    }),
  );
}

/** Ports with policies of their own. */
function portStats(
  { figures }: AdminView,
  service: Service,
): readonly {
  readonly id: string;
  readonly shown: {
    readonly port: number;
    readonly protocol: Protocol;
    readonly breaker: BreakerState | 'none';
    readonly inFlight: number;
  };
}[] {
  return scopesOf(service).flatMap(({ key, policies, port }) =>
    port === null
      ? []
      : [
          {
            id: key,
            shown: {
              port: port.port,
              protocol: port.protocol,
              breaker: policies.breaker === null ? 'none' : figures.breaker(key),
              inFlight: figures.inFlight(key),
            },
          },
        ],
  );
}

/** The Service without those ports. */
function restStats(
  { figures }: AdminView,
  { key, policies }: Service,
): { readonly breaker: BreakerState | 'none'; readonly inFlight: number } {
  const breaker = policies.breaker === null ? 'none' : figures.breaker(key);
  return { breaker, inFlight: figures.inFlight(key) };
}

const BREAKERS = ['open', 'recovering', 'closed'] as const;

/** The worst of the Service and its ports. */
function breakerOf(view: AdminView, service: Service): BreakerState | 'none' {
  const states = new Set<BreakerState>();
  for (const { key, policies } of scopesOf(service)) {
    if (policies.breaker !== null) states.add(view.figures.breaker(key));
  }
  return BREAKERS.find((state) => states.has(state)) ?? 'none';
}

/** Over all ports that are carried; `ejected` includes those that are probed. */
function countEndpoints(view: AdminView, service: Service): object {
  let total = 0;
  let healthy = 0;
  for (const { backend } of service.ports.filter(isCarried)) {
    for (const endpoint of backend.endpoints) {
      total += 1;
      if (view.figures.endpoint(backend.id, endpoint).health === 'healthy') healthy += 1;
    }
  }
  return { total, healthy, ejected: total - healthy };
}

function countByService(problems: readonly Problem[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { ref } of problems) {
    if (ref?.kind !== 'Service') continue;
    const key = `${ref.namespace}/${ref.name}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

function* kept<T>(items: Iterable<T>, keeps: (item: T) => boolean): Generator<T, void, undefined> {
  for (const item of items) if (keeps(item)) yield item;
}
