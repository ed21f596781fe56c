/**
 * Reads a Corefile as CoreDNS does (the Caddyfile syntax of github.com/coredns/caddy): server blocks with keys and directives,
 * snippets and imports, each with its place in the text. It changes nothing and knows no plugin.
 */

import { lex, type Token } from './corefile-lexer.ts';

/** One plugin line of a block, with whatever stands in its braces left out. */
export interface Directive {
  readonly name: string;
  readonly args: readonly string[];
}

/** `zone:port { … }`. */
export interface ServerBlock {
  readonly kind: 'block';
  /** As written, without the comma between them. */
  readonly keys: readonly string[];
  readonly directives: readonly Directive[];
  /** Offset of the first key. */
  readonly start: number;
  /** Offset after the closing brace. */
  readonly end: number;
}

/** `import PATTERN` outside of every block. */
export interface TopImport {
  readonly kind: 'import';
  readonly pattern: string;
  readonly start: number;
  readonly end: number;
}

/** `(name) { … }`: text that an import inserts elsewhere. */
export interface Snippet {
  readonly kind: 'snippet';
  readonly name: string;
  readonly directives: readonly Directive[];
  readonly start: number;
  readonly end: number;
}

export type CorefileItem = ServerBlock | TopImport | Snippet;

export type CorefileReading =
  | { readonly ok: true; readonly items: readonly CorefileItem[] }
  /** `message` says what and in which line. */
  | { readonly ok: false; readonly message: string };

/** A ConfigMap holds 1 MiB at most, so no Corefile in a cluster is longer. */
const COREFILE_CHARS_MAX = 1_048_576;

export function readCorefile(text: string): CorefileReading {
  if (text.length > COREFILE_CHARS_MAX) {
    return { ok: false, message: `longer than ${COREFILE_CHARS_MAX} characters` };
  }
  const lexed = lex(text);
  if (lexed.openQuoteLine > 0) {
    return { ok: false, message: `line ${lexed.openQuoteLine}: a quote is never closed` };
  }
  return new Reader(lexed.tokens).read();
}

class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  read(): CorefileReading {
    const items: CorefileItem[] = [];
    for (;;) {
      const first = this.#tokens[this.#at];
      if (first === undefined) return { ok: true, items };
      const item = isWord(first, 'import') ? this.#import(first) : this.#block(first);
      if (typeof item === 'string') return { ok: false, message: item };
      items.push(item);
    }
  }

  #import(first: Token): TopImport | string {
    const line = this.#lineFrom(this.#at);
    const [, pattern] = line;
    const last = line.at(-1);
    if (pattern === undefined || last === undefined) {
      return `line ${first.line}: import names no file`;
    }
    this.#at += line.length;
    return { kind: 'import', pattern: pattern.text, start: first.start, end: last.end };
  }

  #block(first: Token): ServerBlock | Snippet | string {
    const keys = this.#keys(first);
    if (typeof keys === 'string') return keys;
    const open = this.#tokens[this.#at];
    if (open === undefined || !isWord(open, '{')) {
      return `line ${first.line}: "${first.text}" has no braces around its plugins`;
    }
    this.#at += 1;
    const directives: Directive[] = [];
    for (;;) {
      const token = this.#tokens[this.#at];
      if (token === undefined) return `line ${open.line}: the brace is never closed`;
      if (isWord(token, '}')) {
        this.#at += 1;
        return blockOf(keys, directives, first.start, token.end);
      }
      const directive = this.#directive(token);
      if (typeof directive === 'string') return directive;
      directives.push(directive);
    }
  }

  /** Keys end at a brace, or with their line unless that ends in a comma. */
  #keys(first: Token): readonly string[] | string {
    const keys: string[] = [];
    let wantsMore = true;
    for (;;) {
      const token = this.#tokens[this.#at];
      if (token === undefined || isWord(token, '{')) break;
      if (isWord(token, '}')) return `line ${token.line}: a closing brace too many`;
      if (!wantsMore && token.line > endLine(this.#tokens[this.#at - 1])) break;
      wantsMore = token.text.endsWith(',');
      const key = wantsMore ? token.text.slice(0, -1) : token.text;
      if (key !== '') keys.push(key);
      this.#at += 1;
    }
    if (keys.length === 0) return `line ${first.line}: a brace without a zone`;
    return wantsMore ? `line ${first.line}: a comma without another zone after it` : keys;
  }

  /** A line, and the lines in its braces. */
  #directive(first: Token): Directive | string {
    if (isWord(first, '{')) return `line ${first.line}: a brace without a plugin`;
    const args: string[] = [];
    let depth = 0;
    this.#at += 1;
    for (;;) {
      const token = this.#tokens[this.#at];
      if (token === undefined) return { name: first.text, args };
      const isNew = token.line > endLine(this.#tokens[this.#at - 1]);
      if (isWord(token, '{')) {
        depth += 1;
      } else if (isNew && depth === 0) {
        return { name: first.text, args };
      } else if (isWord(token, '}')) {
        if (depth === 0) return `line ${token.line}: a closing brace must have a line of its own`;
        depth -= 1;
      } else if (depth === 0) {
        args.push(token.text);
      }
      this.#at += 1;
    }
  }

  #lineFrom(at: number): readonly Token[] {
    let end = at + 1;
    for (;;) {
      const token = this.#tokens[end];
      if (token === undefined || token.line > endLine(this.#tokens[end - 1])) break;
      end += 1;
    }
    return this.#tokens.slice(at, end);
  }
}

function blockOf(
  keys: readonly string[],
  directives: readonly Directive[],
  start: number,
  end: number,
): ServerBlock | Snippet {
  const [name = ''] = keys;
  return keys.length === 1 && name.startsWith('(') && name.endsWith(')')
    ? { kind: 'snippet', name: name.slice(1, -1), directives, start, end }
    : { kind: 'block', keys, directives, start, end };
}

/** The lexer of CoreDNS does not tell `"{"` from `{`, so neither do we. */
function isWord(token: Token, word: string): boolean {
  return token.text === word;
}

function endLine(token: Token | undefined): number {
  return token === undefined ? 0 : token.endLine;
}
