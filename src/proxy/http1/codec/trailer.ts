/** The trailer section of a chunked body: RFC 9112 §7.1.2, with what must not stand there left out. */
import { wholeUpTo } from '../../net/copy-whole.ts';
import { isTrailerDropped } from '../../head/trailer-field.ts';
import { COLON, CR, LF, SPACE, TAB } from '../../head/characters.ts';
import { TOKEN, VALUE } from '../../head/grammar.ts';
import { TRAILER_BYTES_MAX, TRAILER_LINES_BYTES_MAX } from '../../head/head.ts';
import type { Rule } from '../../head/rule.ts';

const LINE_FIRST = 0;
const NAME = 1;
const VALUE_FIRST = 2;
const VALUE_REST = 3;
const LINE_LF = 4;
const END_LF = 5;
const NAME_SPACE = 6;

/** Reads field lines from pieces cut anywhere and keeps them as `name: value` lines. */
export class TrailerSection {
  ended = false;
  rule: Rule | '' = '';

  #state = LINE_FIRST;
  #bytes = 0;
  #lineStart = 0;
  #nameEnd = 0;
  #size = 0;
  /** Made when the first trailer byte arrives: almost no body has any. */
  #kept: Buffer | null = null;
  #named: ReadonlySet<string> | null = null;
  readonly #lenient: boolean;

  /** With `lenient`, white space before a colon is left out (RFC 9112 §5.1, for responses). */
  constructor(lenient: boolean) {
    this.#lenient = lenient;
  }

  /** Bytes of `lines()` so far. */
  get size(): number {
    return this.#size;
  }

  /** `named` are the lower-case names that Connection takes out of this message, if any. */
  reset(named: ReadonlySet<string> | null = null): void {
    this.#named = named;
    this.ended = false;
    this.rule = '';
    this.#state = LINE_FIRST;
    this.#bytes = 0;
    this.#lineStart = 0;
    this.#size = 0;
    this.#kept = null;
  }

  /** The lines to pass on, or null when there are none. */
  lines(): Buffer | null {
    if (this.#kept === null || this.#size === 0) return null;
    return this.#kept.subarray(0, wholeUpTo(this.#size, this.#kept));
  }

  /** Consumes bytes until the section ends or breaks a rule. @returns the offset of the first byte not consumed */
  step(buf: Buffer, pos: number, end: number): number {
    for (let i = pos; i < end; i++) {
      const byte = buf[i] as number;
      if (this.#state === END_LF) {
        if (byte === LF) this.ended = true;
        else this.rule = 'line_bare_cr';
        return i + 1;
      }
      if (this.#state === LINE_FIRST && byte === CR) {
        this.#state = END_LF;
        continue;
      }
      this.#take(byte);
      if (this.rule !== '') return i;
    }
    return end;
  }

  #take(byte: number): void {
    if (++this.#bytes > TRAILER_BYTES_MAX) this.rule = 'trailer_bytes';
    else this.rule = this.#stepLine(byte);
  }

  // oxlint-disable-next-line complexity -- one state machine, off the usual path
  #stepLine(byte: number): Rule | '' {
    switch (this.#state) {
      case LINE_FIRST:
        if (byte === COLON) return 'field_name_empty';
        if (byte === SPACE || byte === TAB) return 'field_folded';
        if (byte === LF) return 'line_bare_lf';
        if (TOKEN[byte] !== 1) return 'field_name_character';
        this.#lineStart = this.#size;
        this.#keep(byte);
        this.#state = NAME;
        return '';
      case NAME:
        if (byte === SPACE || byte === TAB) return this.#spaceInName();
        if (byte === LF) return 'line_bare_lf';
        if (byte !== COLON && TOKEN[byte] !== 1) return 'field_name_character';
        if (byte === COLON) this.#endName();
        else this.#keep(byte);
        return '';
      case NAME_SPACE:
        if (byte === COLON) this.#endName();
        else if (byte !== SPACE && byte !== TAB) return 'field_name_space';
        return '';
      case VALUE_FIRST:
        if (byte === SPACE || byte === TAB) return '';
        this.#state = VALUE_REST;
        return this.#stepValue(byte);
      case VALUE_REST:
        return this.#stepValue(byte);
      default:
        if (byte !== LF) return 'line_bare_cr';
        this.#state = LINE_FIRST;
        return '';
    }
  }

  #spaceInName(): Rule | '' {
    if (!this.#lenient) return 'field_name_space';
    this.#state = NAME_SPACE;
    return '';
  }

  #stepValue(byte: number): Rule | '' {
    if (VALUE[byte] === 1) this.#keep(byte);
    else if (byte === CR) this.#endLine();
    else return byte === LF ? 'line_bare_lf' : 'field_value_character';
    return '';
  }

  #keep(byte: number): void {
    this.#kept ??= Buffer.allocUnsafe(TRAILER_LINES_BYTES_MAX);
    this.#kept[this.#size++] = byte;
  }

  #endName(): void {
    this.#nameEnd = this.#size;
    this.#keep(COLON);
    this.#keep(SPACE);
    this.#state = VALUE_FIRST;
  }

  #endLine(): void {
    const kept = this.#kept as Buffer;
    this.#state = LINE_LF;
    if (this.#isDropped(kept)) {
      this.#size = this.#lineStart;
      return;
    }
    const valueStart = this.#nameEnd + 2;
    while (
      this.#size > valueStart &&
      (kept[this.#size - 1] === SPACE || kept[this.#size - 1] === TAB)
    )
      this.#size--;
    this.#keep(CR);
    this.#keep(LF);
  }

  #isDropped(kept: Buffer): boolean {
    if (isTrailerDropped(kept, this.#lineStart, this.#nameEnd)) return true;
    if (this.#named === null) return false;
    return this.#named.has(kept.toString('latin1', this.#lineStart, this.#nameEnd).toLowerCase());
  }
}
