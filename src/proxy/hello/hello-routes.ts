/** Which route takes a connection of TLS, by its ClientHello: the first one that does, found without trying them all. */

import type { TlsMatch } from '../../model/route.ts';
import type { TlsRule } from '../../model/rule.ts';
import type { ClientHello } from './client-hello.ts';

const STAR = '*.';
const NONE: readonly number[] = [];

export class HelloRoutes {
  readonly #rules: readonly (readonly TlsRule[])[];
  /** Places of the routes that may take a name, in their order; of wildcards by what is behind the star. */
  readonly #byName = new Map<string, number[]>();
  readonly #byParent = new Map<string, number[]>();
  /** Of those that may take any name. */
  readonly #others: number[] = [];

  /** Of each route in their order: any of its matches takes a connection; without one it takes them all. */
  constructor(routes: readonly (readonly TlsMatch[])[]) {
    this.#rules = routes.map((matches) => matches.map(({ rule }) => rule));
    for (const [at, rules] of this.#rules.entries()) this.#file(at, rules);
  }

  /** The place of the route that takes it, or -1. */
  find(hello: ClientHello): number {
    const { serverName: name } = hello;
    const dot = name.indexOf('.');
    const parent = dot < 0 ? '' : name.slice(dot + 1);
    const ofNone = this.#first(this.#others, hello, Infinity);
    const ofName = this.#first(this.#byName.get(name), hello, ofNone);
    const ofParent = this.#first(this.#byParent.get(parent), hello, ofName);
    return ofParent === Infinity ? -1 : ofParent;
  }

  /** The first of these places whose route takes it, if it is before `found`; else `found`. */
  #first(places: readonly number[] | undefined, hello: ClientHello, found: number): number {
    for (const at of places ?? NONE) {
      if (at >= found) return found;
      if (this.#takes(at, hello)) return at;
    }
    return found;
  }

  #takes(at: number, hello: ClientHello): boolean {
    const rules = this.#rules[at];
    if (rules === undefined) return false;
    return rules.length === 0 || rules.some((rule) => holds(rule, hello));
  }

  #file(at: number, rules: readonly TlsRule[]): void {
    const names = rules.length === 0 ? null : union(rules.map(namesOf));
    if (names === null) this.#others.push(at);
    for (const name of new Set(names)) {
      const isWild = name.startsWith(STAR);
      const places = isWild ? this.#byParent : this.#byName;
      const key = isWild ? name.slice(STAR.length) : name;
      const list = places.get(key);
      if (list === undefined) places.set(key, [at]);
      else list.push(at);
    }
  }
}

/** What `maesh explain` and the index ask: whether it holds for such a hello. */
export function holds(rule: TlsRule, hello: ClientHello): boolean {
  switch (rule.kind) {
    case 'sni':
      return isNamed(rule.name, hello.serverName);
    case 'alpn':
      return hello.protocols.includes(rule.protocol);
    case 'not':
      return !holds(rule.of, hello);
    case 'all':
      return rule.of.every((each) => holds(each, hello));
    case 'any':
  }
  return rule.of.some((each) => holds(each, hello));
}

function isNamed(wanted: string, name: string): boolean {
  if (wanted === '*') return true;
  if (!wanted.startsWith(STAR)) return wanted === name;
  const dot = name.indexOf('.');
  return dot > 0 && name.slice(dot + 1) === wanted.slice(STAR.length);
}

/** Names of which one is asked for wherever the rule holds; null where it may hold for any. */
function namesOf(rule: TlsRule): readonly string[] | null {
  switch (rule.kind) {
    case 'sni':
      return rule.name === '*' ? null : [rule.name];
    case 'alpn':
    case 'not':
      return null;
    case 'all':
      return rule.of.map(namesOf).find((names) => names !== null) ?? null;
    case 'any':
  }
  return union(rule.of.map(namesOf));
}

function union(all: readonly (readonly string[] | null)[]): readonly string[] | null {
  return all.includes(null) ? null : all.flatMap((names) => names ?? []);
}
