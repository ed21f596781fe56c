/** From the annotation of routes to the routes of one TCP port, and whether the backends that they name are there. */

import type { ServiceObject } from '../../kube/kind/service.ts';
import type { ObjectRef } from '../../kube/store.ts';
import { describeReference, type Source } from '../../model/object-reference.ts';
import type { RouteBackend, TcpRoute } from '../../model/route.ts';
import type { TlsRule } from '../../model/rule.ts';
import type { ServicePort } from '../../model/service.ts';
import type { Annotation, Annotations } from '../annotation/read.ts';
import {
  readRoutes,
  type RouteFault,
  type WrittenBackend,
  type WrittenRoute,
  type WrittenRoutes,
} from '../annotation/read-routes.ts';
import { serviceDependency } from '../index/dependents.ts';
import type { ObjectProblem } from '../object-problem.ts';
import { type Around, otherPort } from './other-port.ts';

/** Routes and backends of routes of one Service, over all its ports: what one message to an agent has room for. */
export const ROUTES_MAX = 10_000;

interface RoutedPort {
  readonly number: number;
  /** Id of its own backend. */
  readonly id: string;
  readonly annotation: Annotation;
}

/** What is added to on the way. */
interface Found {
  /** Services whose change may change the routes. */
  readonly dependencies: Set<string>;
  readonly findings: ObjectProblem[];
}

type Findings = Pick<ObjectProblem, 'message' | 'remedy' | 'value'>;

/** Of one annotation of an object that is there until it is replaced: endpoints change more often. */
const READ = new WeakMap<ServiceObject, Map<string, WrittenRoutes>>();

/** The routes of all ports of one Service. */
export class RouteCompiler {
  readonly #around: Around;
  readonly #object: ServiceObject;
  readonly #ref: ObjectRef;
  readonly #found: Found;
  /** What is wrong with a port that a backend names. */
  readonly #known = new Map<string, Omit<Findings, 'value'> | null>();
  #left = ROUTES_MAX;

  constructor(around: Around, object: ServiceObject, found: Found) {
    const { namespace, name } = object.meta;
    this.#around = around;
    this.#object = object;
    this.#ref = { kind: 'Service', namespace, name };
    this.#found = found;
  }

  /** The port with the routes that are annotated; `annotations` are those that hold on it. */
  routed(port: ServicePort, { values }: Annotations): ServicePort {
    const annotation = values.get('routes');
    // `none` lifts what the Service says.
    if (port.protocol !== 'tcp' || annotation === undefined || annotation.value === null)
      return port;
    const of = { number: port.port, id: port.backend.id, annotation };
    return { ...port, routes: this.#routesOf(of) };
  }

  #routesOf(port: RoutedPort): readonly TcpRoute[] {
    const { field, text } = port.annotation;
    const { routes, faults } = this.#read(text);
    for (const fault of faults) this.#find(port, asFinding(fault));
    const count = routes.reduce((sum, { to }) => sum + 1 + to.length, 0);
    this.#left -= count;
    const source: Source = { object: describeReference(this.#ref), field };
    if (this.#left < 0) {
      this.#left += count;
      const message = `a Service has at most ${ROUTES_MAX} routes and backends of routes, and port ${port.number} has ${count} more than are left`;
      const remedy = 'take routes out; until then all connections are reset';
      this.#find(port, { message, remedy, value: text });
      return [nowhere({ name: 'routes', source, rule: null }, port.id)];
    }
    const readsNone = routes.every(({ rule }) => rule === null || takesAll(rule));
    return routes.map((route) => this.#route(route, port, source, readsNone));
  }

  #read(text: string): WrittenRoutes {
    const known = READ.get(this.#object) ?? new Map<string, WrittenRoutes>();
    READ.set(this.#object, known);
    const found = known.get(text) ?? readRoutes(text);
    known.set(text, found);
    return found;
  }

  #route(
    { name, rule, to, isUnreadable }: WrittenRoute,
    port: RoutedPort,
    source: Source,
    readsNone: boolean,
  ): TcpRoute {
    const asked = readsNone ? null : rule;
    if (isUnreadable) return nowhere({ name, source, rule: asked }, port.id);
    const backends = to.map((backend) => this.#backend(backend, port));
    return { name, matches: matchesOf(asked), ...PLAIN, backends, source };
  }

  #backend(written: WrittenBackend, port: RoutedPort): RouteBackend {
    const { namespace } = this.#ref;
    const { weight, at } = written;
    const isWhole = written.service.includes('/');
    const service = isWhole ? written.service : `${namespace}/${written.service}`;
    const number = written.port ?? port.number;
    const backend = `${service}:${number}`;
    if (!service.startsWith(`${namespace}/`)) {
      const invalid = 'it is in another namespace, and nothing grants that yet';
      const remedy = `name a Service of namespace ${namespace}; until then its share is reset`;
      this.#find(port, { message: `${at}: ${invalid}`, remedy, value: backend });
      return { backend, weight, invalid, filters: null };
    }
    this.#found.dependencies.add(serviceDependency(service));
    const wrong = this.#wrongWith(service, number);
    if (wrong !== null) {
      const { message, remedy } = wrong;
      this.#find(port, { message: `${at}: ${message}`, remedy, value: backend });
    }
    return { backend, weight, invalid: '', filters: null };
  }

  #wrongWith(service: string, number: number): Omit<Findings, 'value'> | null {
    const key = `${service}:${number}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const wrong = this.#wrongWithPort(service, number);
    this.#known.set(key, wrong);
    return wrong;
  }

  #wrongWithPort(service: string, number: number): Omit<Findings, 'value'> | null {
    const other = otherPort(this.#around, service, number);
    if (other.kind === 'no-service')
      return wrong('there is no such Service', 'correct the name, or create the Service');
    if (other.kind === 'no-member')
      return wrong(
        `it is not part of the mesh: ${other.reason}`,
        'name a Service that is part of the mesh, or make it part',
      );
    if (other.kind === 'no-port')
      return wrong(`it has no port ${number}`, 'name a port of TCP that it has');
    if (other.kind === 'other-transport')
      return wrong(`its port ${number} is ${other.transport}`, 'name a port of TCP that it has');
    const { decided } = other;
    if (decided?.protocol === 'tcp') return null;
    const what = decided === null ? 'left out' : `${decided.protocol} (${decided.because})`;
    return wrong(
      `its port ${number} is ${what}, and connections are routed to ports of TCP alone`,
      `set maesh.dev/port.${number}.traffic-type to tcp there`,
    );
  }

  #find({ annotation }: RoutedPort, words: Findings): void {
    const { field } = annotation;
    this.#found.findings.push({ severity: 'error', ref: this.#ref, field, ...words });
  }
}

function wrong(message: string, remedy: string): Omit<Findings, 'value'> {
  return { message, remedy: `${remedy}; until then its share is reset` };
}

const PLAIN = { policies: {}, filters: null, mirrors: [] } as const;

function asFinding({ message, until, value }: RouteFault): Findings {
  return { message, remedy: `correct it; until then ${until}`, value };
}

/** Takes what it may have been meant for, and leads nowhere. */
function nowhere(
  { name, source, rule }: Pick<TcpRoute, 'name' | 'source'> & { readonly rule: TlsRule | null },
  backend: string,
): TcpRoute {
  const invalid = 'the route cannot be read, so it leads nowhere';
  const backends = [{ backend, weight: 1, invalid, filters: null }];
  return { name, matches: matchesOf(rule), ...PLAIN, backends, source };
}

function matchesOf(rule: TlsRule | null): TcpRoute['matches'] {
  return rule === null ? [] : [{ rule }];
}

function takesAll(rule: TlsRule): boolean {
  return rule.kind === 'sni' && rule.name === '*';
}
