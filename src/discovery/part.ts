/**
 * Parts of a change: JSON of the model, cut so that neither side works long on one. Services of a part that have the same
 * policies share them: `policies` is then the index into the table of the part. Endpoints and identities are rows.
 */

import type { Identity } from '../model/endpoint.ts';
import type { Policies } from '../model/policy.ts';
import type { Service } from '../model/service.ts';
import { completeIdentity, completePolicies, completeService } from './defaults.ts';
import { FLAG, FRAME_TYPE, type Frame } from './frame.ts';
import { asFields, listField, type Fields } from './fields.ts';
import { readPayload, textFrame } from './payload.ts';
import type { Pool } from './pool.ts';
import {
  Columns,
  ENDPOINT_COLUMNS,
  endpointRow,
  IDENTITY_COLUMNS,
  identityRow,
  SHARED_COLUMNS,
  TextTable,
} from './rows.ts';

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
  for (const identity of content.identities) {
    part.addIdentity(identity);
    if (part.length >= PART_LENGTH) yield part.take();
  }
  for (const name of ['removedServices', 'removedIdentities'] as const) {
    for (const value of content[name]) {
      part.add(name, JSON.stringify(value));
      if (part.length >= PART_LENGTH) yield part.take();
    }
  }
  if (part.length > 0) yield part.take();
}

type ListName = 'policies' | keyof Content;

class PartText {
  readonly #version: number;
  #length = 0;
  #lists = new Map<ListName, string[]>();
  #policies = new Map<string, number>();
  #table = new TextTable();

  constructor(version: number) {
    this.#version = version;
  }

  get length(): number {
    return this.#length + this.#table.length;
  }

  /** @returns whether it was short enough */
  addService(service: Service): boolean {
    const policies = JSON.stringify(service.policies);
    const place = this.#policies.get(policies) ?? this.#policies.size;
    const text = JSON.stringify({
      ...service,
      policies: place,
      ports: service.ports.map((port) => ({
        ...port,
        backend: {
          ...port.backend,
          endpoints: port.backend.endpoints.map((endpoint) => endpointRow(endpoint, this.#table)),
        },
      })),
    });
    if (text.length + policies.length > SERVICE_LENGTH_MAX) return false;
    if (!this.#policies.has(policies)) {
      this.#policies.set(policies, place);
      this.add('policies', policies);
    }
    this.add('services', text);
    return true;
  }

  addIdentity(identity: Identity): void {
    this.add('identities', JSON.stringify(identityRow(identity, this.#table)));
  }

  add(name: ListName, json: string): void {
    const list = this.#lists.get(name);
    if (list === undefined) this.#lists.set(name, [json]);
    else list.push(json);
    this.#length += json.length + 1;
  }

  take(): Buffer {
    const lists = [...this.#lists].map(([name, list]) => `"${name}":[${list.join(',')}]`);
    if (this.#lists.has('services') || this.#lists.has('identities')) {
      lists.push(`"texts":${JSON.stringify(this.#table.texts)}`, COLUMNS);
    }
    this.#lists = new Map();
    this.#policies = new Map();
    this.#table = new TextTable();
    this.#length = 0;
    return textFrame(
      { type: FRAME_TYPE.part, flags: FLAG.mustUnderstand, version: this.#version },
      `{${lists.join(',')}}`,
    );
  }
}

const COLUMNS = [
  `"endpointColumns":${JSON.stringify(ENDPOINT_COLUMNS)}`,
  `"identityColumns":${JSON.stringify(IDENTITY_COLUMNS)}`,
  `"sharedColumns":${JSON.stringify(SHARED_COLUMNS)}`,
].join(',');

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
  const texts = textsOf(fields, 'texts').map((text) => pool.text(text));
  const table = { texts, shared: new Set(textsOf(fields, 'sharedColumns')) };
  const endpoints = new Columns(textsOf(fields, 'endpointColumns'), ENDPOINT_COLUMNS, table);
  const identities = new Columns(textsOf(fields, 'identityColumns'), IDENTITY_COLUMNS, table);
  const policies: readonly Policies[] = listField(fields, 'policies').map((value) =>
    pool.policies(completePolicies(value)),
  );
  return {
    services: listField(fields, 'services').map((value) =>
      completeService(value, { policies, endpoints }),
    ),
    identities: listField(fields, 'identities').map((value) => completeIdentity(value, identities)),
    removedServices: textsOf(fields, 'removedServices'),
    removedIdentities: textsOf(fields, 'removedIdentities'),
  };
}

function textsOf(fields: Fields, name: string): readonly string[] {
  return listField(fields, name).map(String);
}
