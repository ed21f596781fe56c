/** Parses a template: text, actions, and the blocks that they open. */

import { fault, pieces, tokens, type Piece, type Token } from './token.ts';

export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  /** `.a.b` of the dot, or `$x.a.b` of a variable. */
  | { readonly kind: 'path'; readonly variable: string | null; readonly names: readonly string[] }
  /** `(…).a` */
  | {
      readonly kind: 'inner';
      readonly pipeline: readonly Expression[];
      readonly names: readonly string[];
    }
  | { readonly kind: 'call'; readonly name: string; readonly operands: readonly Expression[] };

/** What each of them gives is the last operand of the next. */
export type Pipeline = readonly Expression[];

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'show'; readonly pipeline: Pipeline; readonly line: number }
  | {
      readonly kind: 'set';
      readonly variable: string;
      readonly isNew: boolean;
      readonly pipeline: Pipeline;
      readonly line: number;
    }
  | {
      readonly kind: 'if' | 'with' | 'range';
      /** Those that `range $i, $x :=` names; empty without. */
      readonly variables: readonly string[];
      readonly pipeline: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
      readonly line: number;
    };

export interface Template {
  readonly nodes: readonly Node[];
  /** By the name that `define` gives. */
  readonly definitions: ReadonlyMap<string, readonly Node[]>;
}

/** Throws a `MeshError` that names the place. */
export function parseTemplate(source: string, name: string): Template {
  const parser = new Parser(pieces(source, name), name);
  const { nodes, ending } = parser.block();
  if (ending !== null)
    throw fault(name, ending.piece.line, `"${ending.piece.text}" closes nothing`);
  return { nodes, definitions: parser.definitions };
}

interface Ending {
  readonly piece: Piece;
  readonly tokens: readonly Token[];
}

class Parser {
  readonly definitions = new Map<string, readonly Node[]>();
  readonly #pieces: readonly Piece[];
  readonly #name: string;
  #at = 0;

  constructor(all: readonly Piece[], name: string) {
    this.#pieces = all;
    this.#name = name;
  }

  /** Up to `end` or `else`, which is given back, or to the end of it all. */
  block(): { readonly nodes: readonly Node[]; readonly ending: Ending | null } {
    const nodes: Node[] = [];
    for (;;) {
      const piece = this.#pieces[this.#at++];
      if (piece === undefined) return { nodes, ending: null };
      if (piece.kind === 'text') {
        nodes.push({ kind: 'text', text: piece.text });
        continue;
      }
      const all = tokens(piece, this.#name);
      const word = all[0]?.kind === 'word' ? all[0].text : '';
      if (word === 'end' || word === 'else') return { nodes, ending: { piece, tokens: all } };
      nodes.push(...this.#action(word, piece, all));
    }
  }

  #action(word: string, piece: Piece, all: readonly Token[]): readonly Node[] {
    if (word === 'define') {
      const { nodes, ending } = this.block();
      this.#mustEnd(ending, piece);
      this.definitions.set(all[1]?.text ?? '', nodes);
      return [];
    }
    if (word === 'if' || word === 'with' || word === 'range') {
      return [this.#branch(word, piece, all.slice(1))];
    }
    const [first, sign] = all;
    const { line } = piece;
    if (sign?.kind !== 'sign' || !/^:?=$/.test(sign.text)) {
      return [{ kind: 'show', pipeline: this.#pipeline(piece, all), line }];
    }
    const pipeline = this.#pipeline(piece, all.slice(2));
    const isNew = sign.text === ':=';
    return [{ kind: 'set', variable: first?.text ?? '', isNew, pipeline, line }];
  }

  #branch(kind: 'if' | 'with' | 'range', piece: Piece, rest: readonly Token[]): Node {
    const sign = rest.findIndex((token) => token.kind === 'sign' && token.text === ':=');
    const named = rest.slice(0, Math.max(sign, 0)).filter((token) => token.kind === 'variable');
    const pipeline = this.#pipeline(piece, rest.slice(sign + 1));
    const { nodes: body, ending } = this.block();
    const variables = named.map(({ text }) => text);
    const isElse = ending?.tokens[0]?.text === 'else';
    const otherwise = isElse ? this.#otherwise(ending, piece) : [];
    if (!isElse) this.#mustEnd(ending, piece);
    return { kind, variables, pipeline, body, otherwise, line: piece.line };
  }

  /** `else` to `end`, or `else if` and what follows, which shares that `end`. */
  #otherwise(ending: Ending, opened: Piece): readonly Node[] {
    const [, next] = ending.tokens;
    const kind = next?.text;
    if (kind === 'if' || kind === 'with') {
      return [this.#branch(kind, ending.piece, ending.tokens.slice(2))];
    }
    const { nodes, ending: last } = this.block();
    this.#mustEnd(last, opened);
    return nodes;
  }

  #mustEnd(ending: Ending | null, opened: Piece): void {
    if (ending?.tokens[0]?.text === 'end') return;
    throw fault(this.#name, opened.line, `"${opened.text}" has no end`);
  }

  #pipeline(piece: Piece, all: readonly Token[]): Pipeline {
    const reader = { all, at: 0 };
    const pipeline = this.#commands(piece, reader);
    if (reader.at < all.length || pipeline.length === 0) {
      throw fault(this.#name, piece.line, `cannot understand "${piece.text}"`);
    }
    return pipeline;
  }

  /** Up to a closing parenthesis, which is left, or to the end. */
  #commands(piece: Piece, reader: Reader): Pipeline {
    const commands: Expression[] = [];
    for (;;) {
      commands.push(this.#command(piece, reader));
      const next = reader.all[reader.at];
      if (next?.text !== '|' || next.kind !== 'sign') return commands;
      reader.at += 1;
    }
  }

  /** A function with its operands, or one operand. */
  #command(piece: Piece, reader: Reader): Expression {
    const first = reader.all[reader.at];
    const isCall = first?.kind === 'word' && !(first.text in WORDS);
    if (isCall) reader.at += 1;
    const operands: Expression[] = [];
    for (;;) {
      const token = reader.all[reader.at];
      if (token === undefined || (token.kind === 'sign' && token.text !== '(')) break;
      reader.at += 1;
      operands.push(this.#operand(piece, token, reader));
    }
    if (isCall) return { kind: 'call', name: first.text, operands };
    const [single] = operands;
    if (single !== undefined && operands.length === 1) return single;
    throw fault(this.#name, piece.line, `cannot understand "${piece.text}"`);
  }

  #operand(piece: Piece, token: Token, reader: Reader): Expression {
    if (token.kind === 'text') return { kind: 'literal', value: token.text };
    if (token.kind === 'number') return { kind: 'literal', value: Number(token.text) };
    if (token.kind === 'field') return { kind: 'path', variable: null, names: namesIn(token) };
    if (token.kind === 'variable') {
      return { kind: 'path', variable: token.text, names: this.#chain(reader) };
    }
    if (token.kind === 'word') {
      if (!(token.text in WORDS)) return { kind: 'call', name: token.text, operands: [] };
      return { kind: 'literal', value: WORDS[token.text] ?? null };
    }
    const pipeline = this.#commands(piece, reader);
    const close = reader.all[reader.at++];
    if (close?.text !== ')') throw fault(this.#name, piece.line, 'a parenthesis is not closed');
    return { kind: 'inner', pipeline, names: this.#chain(reader) };
  }

  /** Fields right after a variable or a parenthesis. */
  #chain(reader: Reader): readonly string[] {
    const next = reader.all[reader.at];
    if (next?.kind !== 'field' || next.isApart) return [];
    reader.at += 1;
    return namesIn(next);
  }
}

interface Reader {
  readonly all: readonly Token[];
  at: number;
}

const WORDS: Readonly<Record<string, boolean | null>> = { true: true, false: false, nil: null };

function namesIn(token: Token): readonly string[] {
  return token.text === '' ? [] : token.text.split('.');
}
