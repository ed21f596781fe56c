/** The objects and problems of one document, with offsets in its text instead of lines: it stays true when lines before it change. */

import type { Problem } from '../model/service.ts';
import { convert, referenceAsWritten, withoutSecrets } from './convert.ts';
import { formatPath } from './fields.ts';
import type { FieldProblem, Step } from './fields.ts';
import { misspeltKind } from './misspelt-kind.ts';
import type { KubeObject } from './object.ts';
import { isRecord, recordAt } from '../base/record.ts';
import { show } from './show.ts';
import { unknownFields } from './unknown-field.ts';
import { isWorkload, readWorkload } from './kind/workload.ts';
import { kindOf, KINDS, type KubeKind, upgraded } from './kind/table.ts';
import type { WorkloadKind } from './kind/workload.ts';
import { offsetOf } from './text/place.ts';
import type { Place, TextDocument } from './text/place.ts';
import { about, aboutText } from '../model/object-reference.ts';
import type { ObjectReference } from '../model/object-reference.ts';

/** How deep a List may lie in a List. */
const LIST_DEPTH_MAX = 3;

export interface PieceProblem extends Omit<Problem, 'location'> {
  readonly offset: number;
}

export interface PieceObject {
  readonly object: KubeObject;
  /** Of its document. Where the object itself is in that, nobody asks for most objects, and telling costs a second reading. */
  readonly offset: number;
  /** Which of the documents of the text it is in. */
  readonly document: number;
  /** Where it, or its owner, is in the document. */
  readonly path: readonly Step[];
  /** As in `ObjectText`. */
  readonly owner: ObjectReference | null;
  readonly within: readonly Step[];
}

export interface Piece {
  readonly objects: readonly PieceObject[];
  /** As in `Conversion`. */
  readonly refused: readonly PieceObject[];
  /** `object` is '' where the file is to be named. */
  readonly problems: readonly PieceProblem[];
  readonly skipped: readonly string[];
  readonly isBroken: boolean;
}

/** Reads the objects of documents that come from one text. */
export function readPiece(documents: readonly TextDocument[]): Piece {
  const builder = new PieceBuilder();
  for (const document of documents) builder.addDocument(document);
  builder.piece.problems.sort((a, b) => a.offset - b.offset);
  return builder.piece;
}

const WHOLE: Pick<PieceObject, 'owner' | 'within'> = { owner: null, within: [] };

/** What an item of a typed list (`ServiceList`) has when it says nothing itself. */
interface TypeMeta {
  readonly apiVersion: unknown;
  readonly kind: unknown;
}

class PieceBuilder {
  readonly piece: {
    objects: PieceObject[];
    refused: PieceObject[];
    problems: PieceProblem[];
    skipped: string[];
    isBroken: boolean;
  } = { objects: [], refused: [], problems: [], skipped: [], isBroken: false };
  #documents = -1;
  #document: TextDocument | null = null;
  #places: Place | null = null;

  addDocument(document: TextDocument): void {
    this.#document = document;
    this.#documents++;
    this.#places = null;
    const { value } = document;
    if (value === null || value === undefined) return;
    if (isRecord(value)) {
      this.#addObject(value, [], value);
      return;
    }
    this.piece.isBroken = true;
    this.#problem([], {
      message: 'Cannot read the file: a document in it is not a Kubernetes object',
      remedy: 'write "apiVersion: …", "kind: …" and so on, each on a line of its own',
    });
  }

  #addObject(
    value: Readonly<Record<string, unknown>>,
    path: readonly Step[],
    type: Partial<TypeMeta>,
  ): void {
    const apiVersion = this.#typeText('apiVersion', value['apiVersion'] ?? type.apiVersion, path);
    const kind = apiVersion && this.#typeText('kind', value['kind'] ?? type.kind, path);
    if (apiVersion === '' || kind === '') return;
    const known = kindOf(apiVersion, kind);
    if (known !== null) this.#convert(known, upgraded(known, apiVersion, value), path);
    else if (isWorkload(apiVersion, kind)) this.#addWorkload(kind, value, path);
    else if (kind.endsWith('List')) this.#addList(value, path, { apiVersion, kind });
    else this.#addOther(apiVersion, kind, value, path);
  }

  /** A kind that is not read. */
  // oxlint-disable-next-line max-params -- one object: what it is, what it says, where it is
  #addOther(
    apiVersion: string,
    kind: string,
    value: Readonly<Record<string, unknown>>,
    path: readonly Step[],
  ): void {
    const finding = misspeltKind(apiVersion, kind);
    if (finding === null) this.#skip(`${kind} (${apiVersion})`);
    else this.#finding(referenceAsWritten(apiVersion, kind, value), path, finding);
  }

  /** '' with a problem when there is no such text. */
  #typeText(key: 'apiVersion' | 'kind', text: unknown, path: readonly Step[]): string {
    if (typeof text === 'string' && text !== '') return text;
    const message = text === undefined ? `"${key}" is missing` : `"${key}" must be a string`;
    const remedy = `write it, such as "${key}: ${key === 'kind' ? 'Service' : 'v1'}"`;
    this.#problem([...path, key], { message, remedy });
    return '';
  }

  #convert(kind: KubeKind, value: Readonly<Record<string, unknown>>, path: readonly Step[]): void {
    const { ref, object, refused, findings } = convert(kind, value);
    for (const finding of findings) this.#finding(ref, path, finding);
    for (const finding of withoutSecrets(kind, unknownFields(kind, value)))
      this.#finding(ref, path, finding);
    if (object !== null) this.#push(object, path);
    if (refused !== null) this.piece.refused.push(this.#found(refused, path));
  }

  #addWorkload(
    kind: WorkloadKind,
    value: Readonly<Record<string, unknown>>,
    path: readonly Step[],
  ): void {
    const { ref, pods, template, findings } = readWorkload(kind, value);
    for (const finding of findings) this.#finding(ref, path, finding);
    const written = recordAt(value, ...template);
    for (const finding of unknownFields(KINDS.Pod, written, template))
      this.#finding(ref, path, finding);
    for (const pod of pods) this.#push(pod, path, { owner: ref, within: template });
  }

  #push(object: KubeObject, path: readonly Step[], part = WHOLE): void {
    this.piece.objects.push(this.#found(object, path, part));
  }

  #found(object: KubeObject, path: readonly Step[], part = WHOLE): PieceObject {
    const offset = this.#document?.offset ?? 0;
    return { object, offset, document: this.#documents, path, ...part };
  }

  #addList(
    value: Readonly<Record<string, unknown>>,
    path: readonly Step[],
    { apiVersion, kind }: { readonly apiVersion: string; readonly kind: string },
  ): void {
    const items = value['items'] ?? [];
    if (!Array.isArray(items) || path.length / 2 >= LIST_DEPTH_MAX) {
      this.#problem([...path, 'items'], {
        message: Array.isArray(items) ? 'Lists are nested too deeply' : '"items" must be a list',
        remedy: 'write the objects as items of one list',
      });
      return;
    }
    const type = kind === 'List' ? {} : { apiVersion, kind: kind.slice(0, -'List'.length) };
    for (const [index, item] of items.entries()) {
      const itemPath = [...path, 'items', index];
      if (isRecord(item)) {
        this.#addObject(item, itemPath, type);
      } else {
        this.#problem(itemPath, {
          message: 'An item of the list is not a Kubernetes object',
          remedy: 'write it as a mapping with "apiVersion" and "kind", or remove it',
        });
      }
    }
  }

  #skip(kind: string): void {
    if (!this.piece.skipped.includes(kind)) this.piece.skipped.push(kind);
  }

  #finding(ref: ObjectReference | null, prefix: readonly Step[], finding: FieldProblem): void {
    this.piece.problems.push({
      severity: finding.severity,
      ...(ref === null ? aboutText('') : about(ref)),
      field: formatPath(finding.path),
      value: show(finding.value),
      message: finding.message,
      remedy: finding.remedy,
      offset: this.#offsetOf([...prefix, ...finding.path], finding.isKey),
    });
  }

  /** Without the value, which may be anything, such as a part of a Secret. */
  #problem(
    path: readonly Step[],
    what: { readonly message: string; readonly remedy: string },
  ): void {
    this.#finding(null, [], { severity: 'error', path, value: undefined, ...what });
  }

  /** The start of a document is known; anything below it costs a second reading, once. */
  #offsetOf(path: readonly Step[], isKey = false): number {
    if (this.#document === null || path.length === 0) return this.#document?.offset ?? 0;
    this.#places ??= this.#document.places();
    return offsetOf(this.#places, path, isKey);
  }
}
