/** Reads YAML with js-yaml. Its events say where every node stands, so a message can name the line. */

import {
  CORE_SCHEMA,
  EVENT_ID,
  SCALAR_STYLE,
  YAMLException,
  constructFromEvents,
  defineScalarTag,
  getScalarValue,
  mapTag,
  mergeTag,
  parseEvents,
  seqTag,
} from 'js-yaml';
import type { Event, ScalarEvent, Schema } from 'js-yaml';
import type { Step } from '../fields.ts';
import { DEPTH_MAX } from './place.ts';
import type { Place, SyntaxFailure, TextDocument } from './place.ts';

/** Aliases in one document, and how many times its nodes it may have with them written out: the guards against "billion laughs". */
export const ALIASES_MAX = 1_000;
const ALIAS_GROWTH_MAX = 100;
const MERGED_KEYS_MAX = 10_000;

export type YamlResult =
  | { readonly ok: true; readonly documents: readonly TextDocument[] }
  | { readonly ok: false; readonly error: SyntaxFailure };

/** A tag of an application says nothing about a manifest: its value is read as if the tag were not there. */
const anyTag = { matchByTagPrefix: true, identify: () => false } as const;
const MANIFEST_SCHEMA = CORE_SCHEMA.withTags(
  mergeTag,
  defineScalarTag('!', { ...anyTag, resolve: (source) => source }),
  { ...seqTag, ...anyTag, tagName: '!' },
  { ...mapTag, ...anyTag, tagName: '!' },
);

/** Reads all documents of `text`; the first error decides. Never throws. */
export function readYaml(text: string, schema: Schema = MANIFEST_SCHEMA): YamlResult {
  let events: Event[] = [];
  try {
    events = parseEvents(text, { maxDepth: DEPTH_MAX });
    const error = new EventCheck(text).run(events);
    if (error !== null) return { ok: false, error };
    const values = constructFromEvents(events, {
      source: text,
      schema,
      maxAliases: ALIASES_MAX,
      maxTotalMergeKeys: MERGED_KEYS_MAX,
    });
    const starts = events.flatMap((event, at) =>
      event.type === EVENT_ID.DOCUMENT ? [at + 1] : [],
    );
    const documents = values.map((value, index) => {
      const start = starts[index] ?? events.length;
      const offset = startOf(text, events[start]) ?? 0;
      return { value, offset, places: () => new PlaceReader(text, events, start).read(0) };
    });
    return { ok: true, documents };
  } catch (thrown) {
    return { ok: false, error: failureOf(text, events, thrown) };
  }
}

/** Where the nodes of the document with this number stand; null when there is none. */
export function placesInYaml(text: string, index: number): Place | null {
  const read = readYaml(text);
  return read.ok ? (read.documents[index]?.places() ?? null) : null;
}

function failureOf(text: string, events: readonly Event[], thrown: unknown): SyntaxFailure {
  if (!(thrown instanceof YAMLException)) {
    const name = thrown instanceof Error ? thrown.name : 'no error';
    return { offset: 0, message: `The reader of YAML gave up (${name})` };
  }
  const { reason, mark } = thrown;
  const offset = Math.min(mark?.position ?? 0, text.length);
  if (reason === 'duplicated mapping key') {
    const key = events.find(
      (event): event is ScalarEvent =>
        event.type === EVENT_ID.SCALAR && event.valueStart === offset,
    );
    return { offset: startOf(text, key) ?? offset, message: TWICE };
  }
  const open = openQuote(text.slice(0, offset), reason);
  return open === -1
    ? { offset, message: withoutText(reason) }
    : { offset: open, message: UNCLOSED };
}

const UNCLOSED = 'The quote that opens here is not closed';
const TWICE = 'The key is there twice in one mapping';

/** What js-yaml quotes stands behind one of these: a tag, a name. */
function withoutText(reason: string): string {
  const [start = ''] = reason.split(/ ?!<|: | ?"/);
  return start;
}

/** js-yaml finds a missing quote where the text around it ends; a person looks for where the quoted text begins. */
function openQuote(before: string, reason: string): number {
  if (!/quoted scalar$|^deficient indentation$/.test(reason)) return -1;
  const quotes = reason.includes('double') ? '"' : reason.includes('single') ? "'" : `"'`;
  for (let at = before.length - 1; at >= 0; at--) {
    const isStart = at === 0 || ' \t\n\r,:[{'.includes(before.charAt(at - 1));
    if (isStart && quotes.includes(before.charAt(at))) return at;
  }
  return -1;
}

/** A collection that is open while events are read; `size` counts nodes with all aliases written out. */
interface OpenNode {
  readonly isMapping: boolean;
  readonly anchor: string | null;
  children: number;
  size: number;
}

/** Finds what js-yaml lets pass or reports without a place: loops, growth by aliases, keys that are no text. */
class EventCheck {
  readonly #text: string;
  readonly #open: OpenNode[] = [];
  /** The size of each finished anchored node of the document. */
  readonly #sizes = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
  }

  /** `events` are those of the whole text. */
  run(events: readonly Event[]): SyntaxFailure | null {
    const sizeMax = ALIAS_GROWTH_MAX * events.length;
    for (const event of events) {
      const failure = this.#event(event, sizeMax);
      if (failure !== null) return failure;
    }
    return null;
  }

  #event(event: Event, sizeMax: number): SyntaxFailure | null {
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
        this.#sizes.clear();
        this.#open.push({ isMapping: false, anchor: null, children: 0, size: 0 });
        return null;
      case EVENT_ID.POP:
        return this.#close(sizeMax);
      case EVENT_ID.ALIAS: {
        const size = this.#sizes.get(this.#text.slice(event.anchorStart, event.anchorEnd));
        const offset = event.anchorStart - 1;
        if (size === undefined) return { offset, message: 'The alias has no anchor before it' };
        return this.#add(size);
      }
      case EVENT_ID.SCALAR: {
        const anchor = this.#anchorOf(event);
        if (anchor !== null) this.#sizes.set(anchor, 1);
        return this.#add(1);
      }
      case EVENT_ID.MAPPING:
      case EVENT_ID.SEQUENCE:
        break;
    }
    const parent = this.#open.at(-1);
    if (parent?.isMapping === true && parent.children % 2 === 0) {
      return { offset: event.start, message: 'A key must be a text' };
    }
    const isMapping = event.type === EVENT_ID.MAPPING;
    this.#open.push({ isMapping, anchor: this.#anchorOf(event), children: 0, size: 1 });
    return null;
  }

  #add(size: number): null {
    const parent = this.#open.at(-1);
    if (parent !== undefined) {
      parent.children++;
      parent.size += size;
    }
    return null;
  }

  #close(sizeMax: number): SyntaxFailure | null {
    const { anchor, size } = this.#open.pop() ?? { anchor: null, size: 0 };
    if (anchor !== null) this.#sizes.set(anchor, size);
    if (size <= sizeMax) return this.#add(size);
    return { offset: 0, message: 'Aliases make the document more than 100 times as large' };
  }

  #anchorOf({ anchorStart, anchorEnd }: { anchorStart: number; anchorEnd: number }): string | null {
    return anchorStart === -1 ? null : this.#text.slice(anchorStart, anchorEnd);
  }
}

/** Makes places of the events that follow `at`: one for each node. */
class PlaceReader {
  readonly #text: string;
  readonly #events: readonly Event[];
  #at: number;

  constructor(text: string, events: readonly Event[], at: number) {
    this.#text = text;
    this.#events = events;
    this.#at = at;
  }

  /** The next node; `fallback` is its offset where nothing of it is written. */
  read(fallback: number): Place {
    const event = this.#events[this.#at++];
    const offset = startOf(this.#text, event) ?? fallback;
    if (event?.type === EVENT_ID.MAPPING) return { offset, children: this.#pairs(offset) };
    if (event?.type === EVENT_ID.SEQUENCE) return { offset, children: this.#items(offset) };
    return { offset, children: null };
  }

  #pairs(fallback: number): ReadonlyMap<Step, Place> {
    const children = new Map<Step, Place>();
    while (!this.#isEnd()) {
      const event = this.#events[this.#at];
      const key = this.read(fallback).offset;
      const name = event?.type === EVENT_ID.SCALAR ? getScalarValue(this.#text, event) : '';
      children.set(name, { ...this.read(key), key });
    }
    return children;
  }

  #items(fallback: number): ReadonlyMap<Step, Place> {
    const children = new Map<Step, Place>();
    while (!this.#isEnd()) children.set(children.size, this.read(fallback));
    return children;
  }

  /** True at the end of a collection, which is passed. */
  #isEnd(): boolean {
    const event = this.#events[this.#at];
    if (event !== undefined && event.type !== EVENT_ID.POP) return false;
    this.#at++;
    return true;
  }
}

/** Offset of the first character of a node, its quote or "|" included; null for one that is not written. */
function startOf(text: string, event: Event | undefined): number | null {
  if (event?.type === EVENT_ID.MAPPING || event?.type === EVENT_ID.SEQUENCE) return event.start;
  if (event?.type === EVENT_ID.ALIAS) return event.anchorStart - 1;
  return event?.type === EVENT_ID.SCALAR ? scalarStart(text, event) : null;
}

function scalarStart(text: string, { style, valueStart }: ScalarEvent): number | null {
  if (valueStart === -1) return null;
  if (style === SCALAR_STYLE.PLAIN) return valueStart;
  if (style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED)
    return valueStart - 1;
  return text.lastIndexOf(style === SCALAR_STYLE.LITERAL_BLOCK ? '|' : '>', valueStart - 1);
}
