/**
 * Parts of a change: JSON of the model, cut so that neither side works long on one. Services of a part that have the same
 * policies share them: `policies` is then the index into the table of the part. Endpoints and identities are rows.
 *
 * Services that only newer readers understand are in parts of their own, one for each set of what must be known, so that
 * one agent is sent them and another one is not.
 */

import { isRecord } from '../base/record.ts';
import { DEFAULT_POLICIES } from '../model/defaults.ts';
import type { Identity } from '../model/endpoint.ts';
import type { Policies } from '../model/policy.ts';
import type { Route } from '../model/route.ts';
import type { Backend, Service } from '../model/service.ts';
import { completeIdentity, completePolicies, completeService, keyOfService } from './defaults.ts';
import { FLAG, FRAME_TYPE, type Frame } from './frame.ts';
import { asFields, listField, type Fields } from './fields.ts';
import type { PartFrame } from './part-frame.ts';
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
import { type SentBackend, sentBackend } from './scheme.ts';
import { unknownColumns, unknownOfPolicies, unknownOfService } from './understanding.ts';
import type { PartTerms, Refused } from './understanding.ts';
import { IGNORABLE, needsOf, POLICY_TERMS, TERMS } from './vocabulary.ts';
import type { NeedsOf } from './vocabulary.ts';

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

export interface PartOptions {
  readonly onTooLong: OnTooLong;
  /** Only tests say otherwise than this version of maesh does. */
  readonly needsOf?: NeedsOf;
}

/** The content as frames, each made when it is asked for. */
export function* encodeParts(
  content: Content,
  version: number,
  options: PartOptions,
): Generator<PartFrame, void, undefined> {
  const all = new Map<string, PartText>();
  const plain = partOf(all, [], version);
  for (const service of content.services) {
    const part = partOf(all, (options.needsOf ?? needsOf)(service), version);
    if (!part.addService(service)) {
      options.onTooLong(service.key, JSON.stringify(service).length);
    }
    if (part.length >= PART_LENGTH) yield part.take();
  }
  for (const identity of content.identities) {
    plain.addIdentity(identity);
    if (plain.length >= PART_LENGTH) yield plain.take();
  }
  for (const name of ['removedServices', 'removedIdentities'] as const) {
    for (const value of content[name]) {
      plain.add(name, JSON.stringify(value));
      if (plain.length >= PART_LENGTH) yield plain.take();
    }
  }
  for (const part of all.values()) if (part.length > 0) yield part.take();
}

function partOf(all: Map<string, PartText>, needs: readonly string[], version: number): PartText {
  const id = needs.join();
  let part = all.get(id);
  if (part === undefined) all.set(id, (part = new PartText(version, needs)));
  return part;
}

type ListName = 'policies' | keyof Content;

class PartText {
  readonly #version: number;
  readonly #needs: readonly string[];
  readonly #endpointColumns: readonly string[];
  /** Of its Services, when not every reader understands them. */
  #keys: string[] = [];
  #length = 0;
  #lists = new Map<ListName, string[]>();
  #policies = new Map<string, number>();
  #table = new TextTable();

  constructor(version: number, needs: readonly string[]) {
    this.#version = version;
    this.#needs = needs;
    const terms = new Set([...IGNORABLE, ...needs]);
    this.#endpointColumns = TERMS.endpoint.laterFields.filter((field) =>
      terms.has(TERMS.endpoint.term(field)),
    );
  }

  get length(): number {
    return this.#length + this.#table.length;
  }

  /** @returns whether it was short enough */
  addService(service: Service): boolean {
    const added = new Map<string, number>();
    const text = JSON.stringify({
      ...TERMS.service.lean(service),
      policies: this.#placeOf(service.policies, added),
      ports: service.ports.map((port) => ({
        ...TERMS.port.lean(port),
        ...(port.policies === null ? {} : { policies: this.#placeOf(port.policies, added) }),
        routes: port.routes.map(leanRoute),
        backend: {
          ...leanBackend(port.backend),
          endpoints: port.backend.endpoints.map((endpoint) =>
            endpointRow(endpoint, this.#table, this.#endpointColumns),
          ),
        },
      })),
    });
    let { length } = text;
    for (const policies of added.keys()) length += policies.length;
    if (length > SERVICE_LENGTH_MAX) return false;
    for (const [policies, place] of added) {
      this.#policies.set(policies, place);
      this.add('policies', policies);
    }
    this.add('services', text);
    if (this.#needs.length > 0) this.#keys.push(service.key);
    return true;
  }

  /** In the table of the part; what is not there yet goes to `added`. */
  #placeOf(policies: Policies, added: Map<string, number>): number {
    const text = policiesText(policies);
    const known = this.#policies.get(text) ?? added.get(text);
    if (known !== undefined) return known;
    const place = this.#policies.size + added.size;
    added.set(text, place);
    return place;
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

  take(): PartFrame {
    const lists = [...this.#lists].map(([name, list]) => `"${name}":[${list.join(',')}]`);
    if (this.#lists.has('services') || this.#lists.has('identities')) {
      const columns = [...ENDPOINT_COLUMNS, ...this.#endpointColumns];
      lists.push(
        `"texts":${JSON.stringify(this.#table.texts)}`,
        `"endpointColumns":${JSON.stringify(columns)}`,
        OTHER_COLUMNS,
      );
      if (IGNORABLE.length > 0) lists.push(`"ignorable":${JSON.stringify(IGNORABLE)}`);
    }
    const bytes = this.#frame(lists);
    const keys = this.#keys;
    this.#keys = [];
    this.#lists = new Map();
    this.#policies = new Map();
    this.#table = new TextTable();
    this.#length = 0;
    if (keys.length === 0) return { bytes, needs: null };
    const without = this.#frame([`"removedServices":${JSON.stringify(keys)}`]);
    return { bytes, needs: { terms: this.#needs, without } };
  }

  #frame(lists: readonly string[]): Buffer {
    return textFrame(
      { type: FRAME_TYPE.part, flags: FLAG.mustUnderstand, version: this.#version },
      `{${lists.join(',')}}`,
    );
  }
}

const OTHER_COLUMNS = [
  `"identityColumns":${JSON.stringify(IDENTITY_COLUMNS)}`,
  `"sharedColumns":${JSON.stringify(SHARED_COLUMNS)}`,
].join(',');

function leanBackend(backend: Backend): SentBackend {
  const lean = TERMS.backend.lean(sentBackend(backend));
  const { tls } = backend;
  return tls === null ? lean : { ...lean, tls: TERMS.endpointTls.lean(tls) };
}

/** As it is sent. */
function leanRoute(route: Route): object {
  const policies = TERMS.routePolicies.lean(route.policies);
  const lean = TERMS.route.lean({ ...route, policies });
  if (TERMS.routeBackend.isFirst) return lean;
  return { ...lean, backends: lean.backends.map((each) => TERMS.routeBackend.lean(each)) };
}

function policiesText(policies: Policies): string {
  const lean: Record<string, unknown> = { ...TERMS.policies.lean(policies) };
  for (const [name, terms] of POLICY_TERMS) {
    const policy = lean[name];
    if (isRecord(policy)) lean[name] = terms.lean(policy);
  }
  return JSON.stringify(lean);
}

/** What one part says, checked and complete. */
export interface Part {
  readonly services: readonly Service[];
  /** Services that say what is not known here: as if they were not there, but for telling so. */
  readonly refused: readonly Refused[];
  readonly identities: readonly Identity[];
  readonly removedServices: readonly string[];
  readonly removedIdentities: readonly string[];
}

/** @throws MeshError `invalid_input` with the field and the Service */
export function readPart(frame: Frame, pool: Pool): Part {
  const fields = asFields(readPayload(frame), 'part');
  const texts = textsOf(fields, 'texts').map((text) => pool.text(text));
  const table = { texts, shared: new Set(textsOf(fields, 'sharedColumns')) };
  const endpointColumns = textsOf(fields, 'endpointColumns');
  const endpoints = new Columns(endpointColumns, ENDPOINT_COLUMNS, table);
  const identities = new Columns(textsOf(fields, 'identityColumns'), IDENTITY_COLUMNS, table);
  const ignorable = new Set(textsOf(fields, 'ignorable'));
  const rawPolicies = listField(fields, 'policies');
  const terms: PartTerms = {
    ignorable,
    endpointColumns: unknownColumns(endpointColumns, ignorable),
    policies: rawPolicies.map((value) => unknownOfPolicies(value, ignorable)),
  };
  // Only Services that are refused refer to those that are not understood.
  const policies: readonly Policies[] = rawPolicies.map((value, index) =>
    terms.policies[index]?.length === 0 ? pool.policies(completePolicies(value)) : DEFAULT_POLICIES,
  );
  const services: Service[] = [];
  const refused: Refused[] = [];
  for (const value of listField(fields, 'services')) {
    const unknown = unknownOfService(value, terms);
    if (unknown.length > 0) refused.push({ key: keyOfService(value), unknown });
    else services.push(completeService(value, { policies, endpoints }));
  }
  return {
    services,
    refused,
    identities: listField(fields, 'identities').map((value) =>
      completeIdentity(value, identities, pool),
    ),
    removedServices: textsOf(fields, 'removedServices'),
    removedIdentities: textsOf(fields, 'removedIdentities'),
  };
}

function textsOf(fields: Fields, name: string): readonly string[] {
  return listField(fields, name).map(String);
}
