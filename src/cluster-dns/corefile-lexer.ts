/** The words of a Corefile, split exactly as github.com/coredns/caddy/caddyfile/lexer.go splits them, with their offsets. */

export interface Token {
  /** Without quotes and escapes. */
  readonly text: string;
  /** Offset of the first character, a quote included. */
  readonly start: number;
  /** Offset after the last character. */
  readonly end: number;
  /** 1-based line of the first and the last character. */
  readonly line: number;
  readonly endLine: number;
}

export interface Lexed {
  readonly tokens: readonly Token[];
  /** Line of a quote that is never closed, or 0. */
  readonly openQuoteLine: number;
}

/** What Go's unicode.IsSpace knows within the Latin-1 range and beyond. */
const SPACE = /[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

/** A `#` starts a comment even inside a word, and a carriage return does not end one: both as in the original. */
export function lex(text: string): Lexed {
  const tokens: Token[] = [];
  let line = 1;
  let at = text.startsWith('\ufeff') ? 1 : 0;
  while (at < text.length) {
    const char = text.charAt(at);
    if (char === '\n') line += 1;
    if (SPACE.test(char)) {
      at += 1;
    } else if (char === '#') {
      at = endOfLine(text, at);
    } else if (char === '"') {
      const quoted = lexQuoted(text, at, line);
      if (quoted === null) return { tokens, openQuoteLine: line };
      tokens.push(quoted);
      line = quoted.endLine;
      at = quoted.end;
    } else {
      const word = lexWord(text, at, line);
      tokens.push(word);
      at = word.end;
    }
  }
  return { tokens, openQuoteLine: 0 };
}

/** A backslash escapes a quote only, and stays in front of everything else. Null when the quote is never closed. */
function lexQuoted(text: string, start: number, line: number): Token | null {
  let value = '';
  let endLine = line;
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '"') return { text: value, start, end: at + 1, line, endLine };
    if (char === '\\' && at + 1 < text.length) {
      at += 1;
      const escaped = text.charAt(at);
      value += escaped === '"' ? '"' : `\\${escaped}`;
      if (escaped === '\n') endLine += 1;
      continue;
    }
    if (char === '\n') endLine += 1;
    value += char;
  }
  return null;
}

function lexWord(text: string, start: number, line: number): Token {
  let value = '';
  let at = start;
  for (; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '\r') continue;
    if (SPACE.test(char)) break;
    if (char === '#') {
      at = endOfLine(text, at);
      break;
    }
    value += char;
  }
  return { text: value, start, end: at, line, endLine: line };
}

/** Offset of the line feed, or of the end. */
function endOfLine(text: string, from: number): number {
  const at = text.indexOf('\n', from);
  return at === -1 ? text.length : at;
}
