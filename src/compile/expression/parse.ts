/**
 * Recursive descent over function calls, comparisons, `!`, `&&`, `||` and parentheses, in this order of precedence.
 * Which functions exist and what their arguments mean is the caller's affair.
 *
 *   or      = and { "||" and }
 *   and     = unary { "&&" unary }
 *   unary   = "!" unary | "(" or ")" | call [ operator literal ]
 *   call    = name "(" [ literal { "," literal } ] ")"
 *   literal = number | string
 */

import type { Comparison } from '../../model/expression.ts';
import { faultAt, type Parsed } from './fault.ts';
import { tokenize, type Token } from './token.ts';

export interface Literal {
  readonly value: number | string;
  readonly offset: number;
}

export interface Call {
  readonly kind: 'call';
  readonly name: string;
  readonly args: readonly Literal[];
  readonly offset: number;
}

export type Term =
  | Call
  | {
      readonly kind: 'compare';
      readonly call: Call;
      readonly op: Comparison;
      readonly value: Literal;
      readonly offset: number;
    }
  | { readonly kind: 'not'; readonly operand: Term; readonly offset: number }
  | {
      readonly kind: 'and' | 'or';
      readonly left: Term;
      readonly right: Term;
      readonly offset: number;
    };

/** Deepest nesting of parentheses and `!`. */
const DEPTH_MAX = 64;

const COMPARISONS: ReadonlySet<string> = new Set(['>', '>=', '<', '<=', '==', '!=']);

/** Never throws: whatever the text is, the answer is a term or the first fault. */
export function parse(text: string): Parsed<Term> {
  const tokens = tokenize(text);
  if (!tokens.ok) return tokens;
  return new Parser(text, tokens.value).run();
}

/** Thrown inside the parser only; `run` turns it into a value. */
class FaultSignal extends Error {
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(text: string, tokens: readonly Token[]) {
    this.#text = text;
    this.#tokens = tokens;
  }

  run(): Parsed<Term> {
    try {
      const value = this.#or();
      if (this.#peek().kind !== 'end') this.#fail('"&&", "||" or the end');
      return { ok: true, value };
    } catch (thrown) {
      if (!(thrown instanceof FaultSignal)) throw thrown;
      return { ok: false, error: faultAt(this.#text, thrown.offset, thrown.message) };
    }
  }

  #or(): Term {
    let left = this.#and();
    while (this.#is('||')) {
      const { offset } = this.#take();
      left = { kind: 'or', left, right: this.#and(), offset };
    }
    return left;
  }

  #and(): Term {
    let left = this.#unary();
    while (this.#is('&&')) {
      const { offset } = this.#take();
      left = { kind: 'and', left, right: this.#unary(), offset };
    }
    return left;
  }

  #unary(): Term {
    const token = this.#peek();
    if (!this.#is('!') && !this.#is('(')) return this.#comparison();
    this.#take();
    this.#depth++;
    if (this.#depth > DEPTH_MAX) {
      throw new FaultSignal(token.offset, `expected at most ${DEPTH_MAX} levels of "(" and "!"`);
    }
    let term: Term;
    if (token.text === '!') {
      term = { kind: 'not', operand: this.#unary(), offset: token.offset };
    } else {
      term = this.#or();
      this.#expect(')', '"&&", "||" or ")"');
    }
    this.#depth--;
    return term;
  }

  #comparison(): Term {
    const call = this.#call();
    const op = this.#peek();
    if (op.kind !== 'symbol' || !isComparison(op.text)) return call;
    this.#take();
    return { kind: 'compare', call, op: op.text, value: this.#literal(), offset: call.offset };
  }

  #call(): Call {
    const name = this.#peek();
    if (name.kind !== 'name') this.#fail('a function, "!" or "("');
    this.#take();
    this.#expect('(', `"(" after ${name.text}`);
    const args: Literal[] = [];
    if (!this.#is(')')) {
      args.push(this.#literal());
      while (this.#is(',')) {
        this.#take();
        args.push(this.#literal());
      }
    }
    this.#expect(')', args.length === 0 ? 'a number, a string or ")"' : '"," or ")"');
    return { kind: 'call', name: name.text, args, offset: name.offset };
  }

  #literal(): Literal {
    const token = this.#peek();
    if (token.kind === 'string') {
      this.#take();
      return { value: token.text, offset: token.offset };
    }
    if (token.kind !== 'number') this.#fail('a number or a string');
    const value = Number(token.text);
    if (!Number.isFinite(value)) this.#fail('a number that is not astronomic');
    this.#take();
    return { value, offset: token.offset };
  }

  #is(symbol: string): boolean {
    const token = this.#peek();
    return token.kind === 'symbol' && token.text === symbol;
  }

  #peek(): Token {
    const token = this.#tokens[this.#next];
    if (token === undefined) throw new Error('the token list has no end');
    return token;
  }

  #take(): Token {
    const token = this.#peek();
    if (token.kind !== 'end') this.#next++;
    return token;
  }

  #expect(symbol: string, expected: string): void {
    if (!this.#is(symbol)) this.#fail(expected);
    this.#take();
  }

  #fail(expected: string): never {
    const found = this.#peek();
    throw new FaultSignal(found.offset, `expected ${expected}, found ${describeToken(found)}`);
  }
}

function isComparison(text: string): text is Comparison {
  return COMPARISONS.has(text);
}

function describeToken(token: Token): string {
  if (token.kind === 'end') return 'the end';
  const shown = token.text.length > 40 ? `${token.text.slice(0, 40)}…` : token.text;
  return token.kind === 'string' ? `the string ${JSON.stringify(shown)}` : JSON.stringify(shown);
}
