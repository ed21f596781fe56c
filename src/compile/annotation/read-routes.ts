/**
 * The list of routes that an annotation has, read as far as it can be. A route that cannot be read keeps its place: it takes what it may
 * have been meant for, and leads nowhere. So no mistake lets a connection go where another route would take it.
 */

import { nearest } from '../../base/nearest.ts';
import { isRecord } from '../../base/record.ts';
import type { Step } from '../../kube/fields.ts';
import { Lines } from '../../kube/text/lines.ts';
import { offsetOf, type Place } from '../../kube/text/place.ts';
import { placesInYaml, readYaml } from '../../kube/text/yaml.ts';
import type { TlsRule } from '../../model/rule.ts';
import { parseTlsRule } from '../expression/tls-rule.ts';
import { SERVICE } from './failover.ts';

/** Of one annotation; the API server takes no more for all of an object. */
export const ROUTES_LENGTH_MAX = 262_144;
const HIGHEST_PRIORITY = 1_000_000;
const HIGHEST_WEIGHT = 1_000_000;
/** Of one annotation. */
const FAULTS_TOLD = 20;

export interface WrittenBackend {
  /** `name` or `namespace/name`. */
  readonly service: string;
  /** Null where it is that of the port itself. */
  readonly port: number | null;
  readonly weight: number;
  /** `routes[2].to[0]`. */
  readonly at: string;
}

export interface WrittenRoute {
  /** `routes[2]`. */
  readonly name: string;
  /** Null where it cannot be read: then the route takes all that comes to it. */
  readonly rule: TlsRule | null;
  readonly to: readonly WrittenBackend[];
  /** It leads nowhere. */
  readonly isUnreadable: boolean;
}

export interface RouteFault {
  /** Where and what. */
  readonly message: string;
  /** To follow "until then". */
  readonly until: string;
  /** As written. */
  readonly value: string;
}

export interface WrittenRoutes {
  /** In the order in which they are asked. */
  readonly routes: readonly WrittenRoute[];
  readonly faults: readonly RouteFault[];
}

/** Never throws. */
export function readRoutes(text: string): WrittenRoutes {
  return new RoutesReader(text).read();
}

/** The route that takes every connection comes last, where nobody says otherwise. */
const CATCH_ALL = 'HostSNI(`*`)';
const TAKES_ALL = 'what comes to this route is reset';
const LEADS_NOWHERE = 'what this route takes is reset';
const ROUTE_KEYS = ['match', 'to', 'priority'];
const BACKEND_KEYS = ['service', 'port', 'weight'];

interface Ranked extends WrittenRoute {
  readonly priority: number;
}

class RoutesReader {
  readonly #text: string;
  readonly #faults: RouteFault[] = [];
  #untold = 0;
  #lines: Lines | null = null;
  #places: Place | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  read(): WrittenRoutes {
    const { length } = this.#text;
    if (length > ROUTES_LENGTH_MAX)
      return this.#nothing(`expected at most ${ROUTES_LENGTH_MAX} characters, found ${length}`);
    const yaml = readYaml(this.#text);
    if (!yaml.ok) return this.#nothing(`${this.#at(yaml.error.offset)}: ${yaml.error.message}`);
    const [document, second] = yaml.documents;
    const value = document?.value;
    if (!Array.isArray(value) || second !== undefined)
      return this.#nothing('expected one list, of routes such as {match: …, to: [{service: …}]}');
    // No route at all would be as if nothing were said.
    if (value.length === 0) return this.#nothing('expected at least one route, or none');
    const routes = value.map((each: unknown, index) => this.#route(each, index));
    // Stable: of equal ones the first that is written.
    routes.sort((a, b) => b.priority - a.priority);
    if (this.#untold > 0) {
      const message = `${this.#untold} more problems of the list are not told`;
      this.#faults.push({ message, until: LEADS_NOWHERE, value: '' });
    }
    return { routes, faults: this.#faults };
  }

  /** Of all of it nothing is known. */
  #nothing(message: string): WrittenRoutes {
    const until = 'all connections are reset';
    const routes = [{ name: 'routes', rule: null, to: [], isUnreadable: true }];
    return { routes, faults: [{ message, until, value: this.#text }] };
  }

  #route(value: unknown, index: number): Ranked {
    const name = `routes[${index}]`;
    const path = [index];
    if (!isRecord(value)) {
      this.#tell(path, 'expected a route with match and to', TAKES_ALL, value);
      return { name, rule: null, to: [], isUnreadable: true, priority: Infinity };
    }
    const faults = this.#count;
    const { match, to, priority } = value;
    this.#checkKeys(value, ROUTE_KEYS, path);
    const { rule, rank } = this.#rule(match, [index, 'match']);
    const backends = this.#backends(to, [index, 'to']);
    const isRanked = priority === undefined || isWhole(priority, 1, HIGHEST_PRIORITY);
    if (!isRanked) {
      const wanted = `expected a whole number from 1 to ${HIGHEST_PRIORITY}`;
      this.#tell([index, 'priority'], wanted, LEADS_NOWHERE, priority);
    }
    return {
      name,
      rule,
      to: backends,
      isUnreadable: this.#count > faults,
      // Where it was meant to stand nobody knows: before all others it denies most.
      priority: isRanked ? (priority ?? rank) : Infinity,
    };
  }

  get #count(): number {
    return this.#faults.length + this.#untold;
  }

  #rule(match: unknown, path: readonly Step[]): { rule: TlsRule | null; rank: number } {
    if (typeof match !== 'string') {
      const wanted = 'expected a rule as match, as in HostSNI(`a.example`)';
      this.#tell(path, wanted, TAKES_ALL, match);
      return { rule: null, rank: HIGHEST_PRIORITY };
    }
    const parsed = parseTlsRule(match);
    if (!parsed.ok) {
      this.#tell(path, parsed.error.message, TAKES_ALL, match, parsed.error.offset);
      return { rule: null, rank: match.length };
    }
    const { rule, text } = parsed.value;
    return { rule, rank: text === CATCH_ALL ? 0 : text.replaceAll('*', '').length };
  }

  #backends(to: unknown, path: readonly Step[]): readonly WrittenBackend[] {
    if (!Array.isArray(to) || to.length === 0) {
      const wanted = 'expected a list of backends as to, as in [{service: web, port: 8443}]';
      this.#tell(path, wanted, LEADS_NOWHERE, to);
      return [];
    }
    return to.flatMap((each: unknown, at) => this.#backend(each, [...path, at]));
  }

  #backend(value: unknown, path: readonly Step[]): readonly WrittenBackend[] {
    if (!isRecord(value)) {
      this.#tell(path, 'expected a backend, as in {service: web}', LEADS_NOWHERE, value);
      return [];
    }
    const faults = this.#count;
    this.#checkKeys(value, BACKEND_KEYS, path);
    const service = this.#service(value['service'], [...path, 'service']);
    const port = value['port'] === undefined ? null : this.#whole(value, path, 'port', [1, 65_535]);
    const weight =
      value['weight'] === undefined ? 1 : this.#whole(value, path, 'weight', [0, HIGHEST_WEIGHT]);
    if (this.#count > faults) return [];
    const [index = 0, , nth = 0] = path;
    return [{ service, port, weight, at: `routes[${index}].to[${nth}]` }];
  }

  #service(value: unknown, path: readonly Step[]): string {
    if (typeof value === 'string' && SERVICE.test(value)) return value;
    this.#tell(path, 'expected the name of a Service as service', LEADS_NOWHERE, value);
    return '';
  }

  // oxlint-disable-next-line max-params -- of a private function
  #whole(
    fields: Readonly<Record<string, unknown>>,
    path: readonly Step[],
    key: string,
    [min, max]: readonly [number, number],
  ): number {
    const value = fields[key];
    if (isWhole(value, min, max)) return value;
    const wanted = `expected a whole number from ${min} to ${max}`;
    this.#tell([...path, key], wanted, LEADS_NOWHERE, value);
    return 0;
  }

  /** What is not known may narrow the route. */
  #checkKeys(value: object, known: readonly string[], path: readonly Step[]): void {
    for (const key of Object.keys(value)) {
      if (known.includes(key)) continue;
      const [near] = this.#faults.length < FAULTS_TOLD ? nearest(key, known) : [];
      const hint =
        near === undefined ? `; there are ${known.join(', ')}` : `; did you mean ${near}?`;
      this.#tell([...path, key], `"${key.slice(0, 40)}" is not known${hint}`, LEADS_NOWHERE, key);
    }
  }

  /** `within` is an offset in a text at `path`. */
  // oxlint-disable-next-line max-params -- of a private function
  #tell(path: readonly Step[], message: string, until: string, value: unknown, within = 0): void {
    if (this.#faults.length >= FAULTS_TOLD) {
      this.#untold++;
      return;
    }
    const written = typeof value === 'string' ? value : JSON.stringify(value ?? '');
    const at = this.#placeOf(path, written, within);
    this.#faults.push({ message: `${at}: ${message}`, until, value: written });
  }

  #placeOf(path: readonly Step[], written: string, within: number): string {
    this.#places ??= placesInYaml(this.#text, 0) ?? { offset: 0, children: null };
    const offset = offsetOf(this.#places, path);
    // Exact where the text stands as it is, with or without quotes around it.
    const start = [offset, offset + 1].find((each) => this.#text.startsWith(written, each));
    if (start !== undefined || within === 0) return this.#at((start ?? offset) + within);
    return `${this.#at(offset)}, character ${within + 1} of it`;
  }

  #at(offset: number): string {
    this.#lines ??= new Lines(this.#text);
    const { line, column } = this.#lines.at(offset);
    return `line ${line}, column ${column}`;
  }
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max;
}
