/** The annotations of one object: which prefix wins, what each value is, and what is wrong with them. */

import { compareText } from '../../base/compare.ts';
import type { Meta } from '../../kube/meta.ts';
import type { ObjectRef } from '../../kube/store.ts';
import type { PolicyName } from '../../model/policy.ts';
import { ANNOTATION_PREFIX, OWN_NAMES } from '../../model/names.ts';
import type { ObjectProblem } from '../object-problem.ts';
import { guessName, guessPrefix, guessValue, meansNone } from './guess.ts';
import type { AnnotatedKind, AnnotationRow } from './row.ts';
import { nearPortKey, portKeyOf, type PortKey, printPortKey } from './port-key.ts';
import { LEGACY_PREFIXES, ROWS, withoutIt } from './table.ts';
import { NONE } from './value.ts';

export interface Annotation {
  readonly row: AnnotationRow;
  /** What `row.type` read; null for `none` where that lifts the policy. */
  readonly value: unknown;
  readonly text: string;
  /** `maesh.dev/retry-attempts`. */
  readonly key: string;
  /** `metadata.annotations["maesh.dev/retry-attempts"]`. */
  readonly field: string;
  /** `text` cannot be read: `value` is what it stands for. */
  readonly isGuess: boolean;
  /** The port that it is for; null for all of the object. */
  readonly port: number | null;
}

export interface Annotations {
  /** By name without prefix; good ones, and what bad ones are taken for. */
  readonly values: ReadonlyMap<string, Annotation>;
  /** Bad values by name, with the policy that each of them costs. */
  readonly bad: ReadonlyMap<string, PolicyName>;
  /** What is said of single ports, by number and name, likewise. */
  readonly ports: ReadonlyMap<number, ReadonlyMap<string, Annotation>>;
  readonly findings: readonly ObjectProblem[];
}

interface Written {
  readonly prefix: string;
  readonly text: string;
}

const PREFIXES: readonly string[] = [ANNOTATION_PREFIX, ...LEGACY_PREFIXES];
export const NO_ANNOTATIONS: Annotations = {
  values: new Map(),
  bad: new Map(),
  ports: new Map(),
  findings: [],
};

/** The field of an annotation in messages. */
function annotationField(key: string): string {
  return `metadata.annotations["${key}"]`;
}

export function hasAnnotations(meta: Meta): boolean {
  for (const key of Object.keys(meta.annotations)) if (prefixOf(key) !== null) return true;
  return false;
}

/** Whether a key is for the mesh, or was meant to be. */
export function isForMesh(key: string): boolean {
  return prefixOf(key) !== null || guessPrefix(key) !== null;
}

/** The ports of a Service, as far as annotations are about them. */
type NamedPorts = readonly { readonly name: string; readonly port: number }[];

/** Reads all annotations of the mesh that an object of this kind may carry. */
// oxlint-disable-next-line max-params -- an object, and its ports if it is a Service
export function readAnnotations(
  kind: AnnotatedKind,
  ref: ObjectRef,
  meta: Meta,
  ports: NamedPorts = [],
): Annotations {
  const keys = Object.keys(meta.annotations).filter(isForMesh);
  if (keys.length === 0) return NO_ANNOTATIONS;
  const reader = new Reader(kind, ref, ports);
  for (const key of keys.sort(compareText)) {
    const prefix = prefixOf(key);
    const text = meta.annotations[key] ?? '';
    if (prefix === null) reader.misspelt(key, text);
    else reader.add(prefix, key.slice(prefix.length), text);
  }
  return reader.read();
}

/** Reads a single one, which every Service of a Namespace asks for, whatever else is there. */
export function readAnnotation(
  kind: AnnotatedKind,
  ref: ObjectRef,
  { annotations, ...meta }: Meta,
  name: string,
): Annotations {
  const keys = PREFIXES.map((prefix) => prefix + name).filter((key) =>
    Object.hasOwn(annotations, key),
  );
  const own = Object.fromEntries(keys.map((key) => [key, annotations[key] ?? '']));
  return readAnnotations(kind, ref, { ...meta, annotations: own });
}

function prefixOf(key: string): string | null {
  return PREFIXES.find((prefix) => key.startsWith(prefix)) ?? null;
}

/** Guesses for one object: each of them compares a name with all that there are. */
const NAME_GUESSES_MAX = 20;

class Reader {
  #guesses = 0;
  readonly #kind: AnnotatedKind;
  readonly #ref: ObjectRef;
  readonly #named: NamedPorts;
  readonly #written = new Map<AnnotationRow, Written[]>();
  readonly #ports = new Map<number, Map<string, Annotation>>();
  readonly #findings: ObjectProblem[] = [];

  constructor(kind: AnnotatedKind, ref: ObjectRef, named: NamedPorts) {
    this.#kind = kind;
    this.#ref = ref;
    this.#named = named;
  }

  add(prefix: string, name: string, text: string): void {
    const row = ROWS.get(name);
    if (row === undefined) {
      if (prefix === ANNOTATION_PREFIX && OWN_NAMES.has(name)) return;
      const ofPort = portKeyOf(name);
      return ofPort === null
        ? this.#unknown(prefix, name, text)
        : this.#addOfPort(prefix, ofPort, text);
    }
    if (!row.on.includes(this.#kind)) {
      const remedy = `put it on the ${row.on.join(' or the ')}, or remove it`;
      return this.#warn(prefix + name, text, `has no effect on a ${this.#kind}`, remedy);
    }
    if (prefix !== ANNOTATION_PREFIX && !row.legacy) {
      const remedy = `write ${ANNOTATION_PREFIX}${name}`;
      return this.#warn(prefix + name, text, 'is not an annotation of Traefik Mesh', remedy);
    }
    const written = this.#written.get(row) ?? [];
    written.push({ prefix, text: text.trim() });
    this.#written.set(row, written);
  }

  #addOfPort(prefix: string, { port, name }: PortKey, given: string): void {
    const key = prefix + printPortKey(port, name);
    const row = ROWS.get(name);
    if (row === undefined) return this.#unknown(prefix, printPortKey(port, name), given);
    if (this.#kind !== 'Service') {
      const remedy = 'put it on the Service, or remove it';
      return this.#warn(key, given, `has no effect on a ${this.#kind}`, remedy);
    }
    if (prefix !== ANNOTATION_PREFIX) {
      const remedy = `write ${ANNOTATION_PREFIX}${printPortKey(port, name)}`;
      return this.#warn(key, given, 'is not an annotation of Traefik Mesh', remedy);
    }
    if (!row.perPort) {
      const where = row.on.includes('Service') ? 'of the whole Service' : `of a ${row.on.join()}`;
      const remedy = `write ${ANNOTATION_PREFIX}${name} on the ${row.on.join(' or the ')}`;
      return this.#warn(key, given, `has no effect: ${name} is ${where}`, remedy);
    }
    const text = given.trim();
    const read = this.#value(row, key, text, AS_THE_SERVICE);
    if (read === null) return;
    const values = this.#ports.get(port) ?? new Map<string, Annotation>();
    const field = annotationField(key);
    values.set(name, { row, ...read, text, key, field, port });
    this.#ports.set(port, values);
  }

  /** A key with a prefix that nobody reads. */
  misspelt(key: string, text: string): void {
    const prefix = guessPrefix(key) ?? ANNOTATION_PREFIX;
    const name = key.slice(key.indexOf('/') + 1);
    const known = portKeyOf(name)?.name ?? name;
    const meant = ROWS.has(known) ? name : this.#meant(prefix, name);
    const remedy =
      meant === null ? `write ${prefix} before the slash` : `did you mean ${prefix}${meant}?`;
    this.#warn(key, text, 'has no effect: this is not a prefix of the mesh', remedy);
  }

  read(): Annotations {
    const values = new Map<string, Annotation>();
    const bad = new Map<string, PolicyName>();
    for (const [row, written] of this.#written) {
      const { prefix, text } = this.#choose(row, written);
      const key = prefix + row.name;
      const read = this.#value(row, key, text, withoutIt(row));
      if (read === null && row.policy !== null) bad.set(row.name, row.policy);
      if (read === null) continue;
      const field = annotationField(key);
      values.set(row.name, { row, ...read, text, key, field, port: null });
    }
    return { values, bad, ports: this.#ports, findings: this.#findings };
  }

  /** What is written, or what it stands for as long as it cannot be read; null for nothing. What cannot be read is told. */
  // oxlint-disable-next-line max-params -- of a private function
  #value(
    row: AnnotationRow,
    key: string,
    text: string,
    without: string,
  ): Pick<Annotation, 'value' | 'isGuess'> | null {
    const read = row.type.read(text);
    if (read.ok) return { value: read.value, isGuess: false };
    const strict = row.strict?.(text) ?? null;
    this.#findings.push({
      severity: 'error',
      ref: this.#ref,
      field: annotationField(key),
      value: text,
      message: `${row.name} ${read.message}`,
      remedy: remedyFor(row, text, strict?.until ?? without),
    });
    return strict === null ? null : { value: strict.value, isGuess: true };
  }

  /** The first prefix wins; one that says something else deserves a word. */
  #choose(row: AnnotationRow, written: readonly Written[]): Written {
    const rank = (each: Written) => PREFIXES.indexOf(each.prefix);
    const [winner, ...others] = [...written].sort((a, b) => rank(a) - rank(b));
    if (winner === undefined) throw new Error(`nothing is written for ${row.name}`);
    for (const other of others) {
      if (other.text === winner.text) continue;
      const message = `is overridden by ${winner.prefix}${row.name}, which has another value`;
      this.#warn(other.prefix + row.name, other.text, message, 'remove one of the two');
    }
    return winner;
  }

  #unknown(prefix: string, name: string, text: string): void {
    const guess = this.#meant(prefix, name);
    const remedy =
      guess === null ? 'remove it, or see docs/annotations.md' : `did you mean ${prefix}${guess}?`;
    this.#warn(prefix + name, text, 'is not known, so it has no effect', remedy);
  }

  /** The name that another one was meant for, of a port or not. */
  #meant(prefix: string, name: string): string | null {
    if (this.#guesses >= NAME_GUESSES_MAX) return null;
    this.#guesses += 1;
    const known = [...ROWS.values()].filter(
      (row) => row.on.includes(this.#kind) && (prefix === ANNOTATION_PREFIX || row.legacy),
    );
    const ofPort = this.#kind === 'Service' ? nearPortKey(name) : null;
    if (ofPort === null) return guessName(name, known);
    const rows = known.filter(({ perPort }) => perPort);
    const meant = ROWS.get(ofPort.name)?.name ?? guessName(ofPort.name, rows);
    return meant === null ? null : `port.${this.#numberOf(ofPort.port)}.${meant}`;
  }

  /** Of a port that somebody called by its name, as the annotations of other meshes do. */
  #numberOf(port: number | string): number | string {
    if (typeof port === 'number') return port;
    return this.#named.find(({ name }) => name === port.toLowerCase())?.port ?? 'NUMBER';
  }

  #warn(key: string, value: string, message: string, remedy: string): void {
    this.#findings.push({
      severity: 'warning',
      ref: this.#ref,
      field: annotationField(key),
      value,
      message: `annotation ${message}`,
      remedy,
    });
  }
}

/** What holds on a port as long as a value of its own is bad. */
export const AS_THE_SERVICE = 'what the Service says holds';

/** What holds on the port of this number. */
export function annotationsOn(annotations: Annotations, port: number): Annotations {
  const own = annotations.ports.get(port);
  return own === undefined ? annotations : annotationsOfPort(annotations, own);
}

/** What holds on a port: what is said of it, else what is said of the Service. */
export function annotationsOfPort(
  annotations: Annotations,
  own: ReadonlyMap<string, Annotation>,
): Annotations {
  const bad = new Map([...annotations.bad].filter(([name]) => !own.has(name)));
  return { ...annotations, values: new Map([...annotations.values, ...own]), bad };
}

/** What to write, with the value that was most likely meant. */
export function remedyFor(row: AnnotationRow, text: string, without = withoutIt(row)): string {
  const { name, choices } = row.type;
  const parts = text.split(',').map((part) => part.trim());
  const wrong = parts.find((part) => choices?.includes(part) === false) ?? text;
  const guess = choices === undefined ? null : guessValue(wrong, choices);
  const meant = guess ?? (meansNone(text) && row.type.read(NONE).ok ? NONE : null);
  const hint = meant === null ? '' : `did you mean ${meant}? `;
  return `${hint}write ${name}; until then ${without}`;
}
