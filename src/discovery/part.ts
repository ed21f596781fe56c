/**
 * Parts of a change: JSON of the model, cut so that neither side works long on one. Services of a part that have the same
 * policies share them: `policies` is then the index into the table of the part.
 */

import type { Identity } from '../model/endpoint.ts';
import type { Policies } from '../model/policy.ts';
import type { Service } from '../model/service.ts';
import { completeIdentity, completePolicies, completeService } from './defaults.ts';
import { FLAG, FRAME_TYPE, type Frame } from './frame.ts';
import { asFields, listField } from './fields.ts';
import { readPayload, textFrame } from './payload.ts';
import type { Pool } from './pool.ts';

/** A part is closed once its text is this long. */
const PART_LENGTH = 256 * 1024;
/** Characters of one Service, some 65,000 endpoints: the largest frame has room for it whatever its letters are. */
export const SERVICE_LENGTH_MAX = 8 * 1024 * 1024;

/** What parts say. The lists may be as long as they like, and grow while they are read. */
export interface Content {
  readonly services: Iterable<Service>;
  readonly identities: Iterable<Identity>;
  readonly removedServices: Iterable<string>;
  readonly removedIdentities: Iterable<string>;
}

/** Called for a Service that is longer than `SERVICE_LENGTH_MAX`, and not sent. */
export type OnTooLong = (key: string, length: number) => void;

/** The content as frames, each made when it is asked for. */
export function* encodeParts(
  content: Content,
  version: number,
  onTooLong: OnTooLong,
): Generator<Buffer, void, undefined> {
  const part = new PartText(version);
  for (const service of content.services) {
    if (!part.addService(service)) onTooLong(service.key, JSON.stringify(service).length);
    if (part.length >= PART_LENGTH) yield part.take();
  }
  for (const name of ['identities', 'removedServices', 'removedIdentities'] as const) {
    for (const value of content[name]) {
      part.add(name, JSON.stringify(value));
      if (part.length >= PART_LENGTH) yield part.take();
    }
  }
  if (part.length > 0) yield part.take();
}

type ListName = 'policies' | keyof Content;

class PartText {
  length = 0;
  readonly #version: number;
  #lists = new Map<ListName, string[]>();
  #places = new Map<string, number>();

  constructor(version: number) {
    this.#version = version;
  }

  /** @returns whether it was short enough */
  addService(service: Service): boolean {
    const policies = JSON.stringify(service.policies);
    const place = this.#places.get(policies) ?? this.#places.size;
    const text = JSON.stringify({ ...service, policies: place });
    if (text.length + policies.length > SERVICE_LENGTH_MAX) return false;
    if (!this.#places.has(policies)) {
      this.#places.set(policies, place);
      this.add('policies', policies);
    }
    this.add('services', text);
    return true;
  }

  add(name: ListName, json: string): void {
    const list = this.#lists.get(name);
    if (list === undefined) this.#lists.set(name, [json]);
    else list.push(json);
    this.length += json.length + 1;
  }

  take(): Buffer {
    const lists = [...this.#lists].map(([name, list]) => `"${name}":[${list.join(',')}]`);
    this.#lists = new Map();
    this.#places = new Map();
    this.length = 0;
    return textFrame(
      { type: FRAME_TYPE.part, flags: FLAG.mustUnderstand, version: this.#version },
      `{${lists.join(',')}}`,
    );
  }
}

/** What one part says, checked and complete. */
export interface Part {
  readonly services: readonly Service[];
  readonly identities: readonly Identity[];
  readonly removedServices: readonly string[];
  readonly removedIdentities: readonly string[];
}

/** @throws MeshError `invalid_input` with the field and the Service */
export function readPart(frame: Frame, pool: Pool): Part {
  const fields = asFields(readPayload(frame), 'part');
  const table: readonly Policies[] = listField(fields, 'policies').map((value) =>
    pool.policies(completePolicies(value)),
  );
  return {
    services: listField(fields, 'services').map((value) => completeService(value, table, pool)),
    identities: listField(fields, 'identities').map((value) => completeIdentity(value, pool)),
    removedServices: listField(fields, 'removedServices').map(String),
    removedIdentities: listField(fields, 'removedIdentities').map(String),
  };
}
