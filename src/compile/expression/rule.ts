/**
 * Traefik's rule language: calls of matchers, joined by `!`, `&&`, `||` and parentheses. Which matchers there are is the caller's
 * affair; each makes a leaf of its one argument.
 */

import { didYouMean } from '../../base/nearest.ts';
import type { Rule } from '../../model/rule.ts';
import { type Fault, faultAt, type Parsed } from './fault.ts';
import { type Call, parse, type Term } from './parse.ts';
import { print } from './print.ts';

export interface Matcher<Leaf> {
  /** As messages show it. */
  readonly usage: string;
  /** The leaf, or what is wrong with the argument, to follow it. */
  make(argument: string): { readonly ok: true; readonly leaf: Leaf } | Wrong;
}

interface Wrong {
  readonly ok: false;
  readonly message: string;
}

export interface ParsedRule<Leaf> {
  readonly rule: Rule<Leaf>;
  /** Written in one way, whatever the blanks and quotes. */
  readonly text: string;
}

/** Never throws: whatever the text is, the answer is a rule or the first fault. */
export function parseRule<Leaf>(
  text: string,
  matchers: ReadonlyMap<string, Matcher<Leaf>>,
  others: ReadonlySet<string>,
): Parsed<ParsedRule<Leaf>> {
  const term = parse(text);
  if (!term.ok) return withQuotes(text, term, matchers);
  const rule = new RuleReader(text, matchers, others).read(term.value);
  return rule.ok ? { ok: true, value: { rule: rule.value, text: print(term.value) } } : rule;
}

/** A call with one argument without quotes. Whoever writes a Service chooses the text: what is tried at each place has an end. */
const CALL = /\b([A-Za-z]{1,32})\(\s{0,8}([^\s()]{1,255})\s{0,8}\)/g;
const UNQUOTED = /^[0-9_-]*[A-Za-z*][A-Za-z0-9*_.-]*$/;

/** The usual fault: an argument without quotes, which reads as anything but a string. */
function withQuotes<Leaf>(
  text: string,
  failed: { readonly ok: false; readonly error: Fault },
  matchers: ReadonlyMap<string, Matcher<Leaf>>,
): typeof failed {
  for (const [, name = '', argument = ''] of text.matchAll(CALL)) {
    if (!matchers.has(name) || !UNQUOTED.test(argument)) continue;
    const message = `${failed.error.message}; did you mean ${name}(\`${argument}\`)?`;
    return { ok: false, error: { ...failed.error, message } };
  }
  return failed;
}

class RuleReader<Leaf> {
  readonly #text: string;
  readonly #matchers: ReadonlyMap<string, Matcher<Leaf>>;
  /** Matchers of the language that are not among these. */
  readonly #others: ReadonlySet<string>;

  constructor(
    text: string,
    matchers: ReadonlyMap<string, Matcher<Leaf>>,
    others: ReadonlySet<string>,
  ) {
    this.#text = text;
    this.#matchers = matchers;
    this.#others = others;
  }

  read(term: Term): Parsed<Rule<Leaf>> {
    switch (term.kind) {
      case 'call':
        return this.#call(term);
      case 'compare':
        return this.#fail(term.offset, `expected ${term.call.name}(…) not to be compared`);
      case 'not': {
        const of = this.read(term.operand);
        return of.ok ? { ok: true, value: { kind: 'not', of: of.value } } : of;
      }
      case 'and':
      case 'or':
    }
    return this.#joined(term);
  }

  /** Of a chain of one operator all in one list. */
  #joined(term: Term & { readonly kind: 'and' | 'or' }): Parsed<Rule<Leaf>> {
    const terms: Term[] = [];
    let first: Term = term;
    for (; first.kind === term.kind; first = first.left) terms.push(first.right);
    const of: Rule<Leaf>[] = [];
    for (const each of [first, ...terms.toReversed()]) {
      const read = this.read(each);
      if (!read.ok) return read;
      of.push(read.value);
    }
    return { ok: true, value: { kind: term.kind === 'and' ? 'all' : 'any', of } };
  }

  #call({ name, args, offset }: Call): Parsed<Rule<Leaf>> {
    const matcher = this.#matchers.get(name);
    if (matcher === undefined) return this.#fail(offset, this.#unknown(name));
    const [argument, second] = args;
    if (argument === undefined) return this.#fail(offset, `expected ${matcher.usage}`);
    if (second !== undefined) {
      const message = `expected one argument, found ${args.length}: join several calls with ||`;
      return this.#fail(second.offset, `${message}, in ${matcher.usage}`);
    }
    const { value } = argument;
    if (typeof value === 'number')
      return this.#fail(argument.offset, `expected a string, found a number, in ${matcher.usage}`);
    const made = matcher.make(value);
    if (made.ok) return { ok: true, value: made.leaf };
    return this.#fail(argument.offset, `${made.message}, in ${matcher.usage}`);
  }

  #unknown(name: string): string {
    const known = [...this.#matchers.keys()];
    if (this.#others.has(name)) return `${name} is not there yet, only ${known.join(' and ')} are`;
    const hint = didYouMean(name, known);
    return `expected ${known.join(' or ')}, found "${name}"${hint}`;
  }

  #fail(offset: number, message: string): Parsed<never> {
    return { ok: false, error: faultAt(this.#text, offset, message) };
  }
}
