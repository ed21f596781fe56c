/** An API server for the Services of one namespace: server-side apply, preconditions, cluster IPs, a watch, and bad days. */

import { isEqual } from '../base/equal.ts';
import { isRecord } from '../base/record.ts';
import { ApiError } from '../kube/api/api-error.ts';
import { MeshError } from '../base/error.ts';
import type { ShadowApi } from './writer.ts';

export type Json = Record<string, unknown>;

/** What goes wrong with the next write: refused, lost before it was done, or done with the answer lost. */
export type Fault = 'refuse' | 'lose' | 'lose-answer';

interface WatchEvent {
  readonly name: string;
  readonly object: Json | null;
  readonly resourceVersion: string;
}

export class FakeApi implements ShadowApi {
  readonly objects = new Map<string, Json>();
  readonly events: WatchEvent[] = [];
  /** Applied to writes in order; empty is a good day. */
  faults: Fault[] = [];
  /** Writes that changed something, as `apply shadow-…`. */
  writes: string[] = [];
  /** Writes that changed nothing: there should be none. */
  idleWrites = 0;
  /** Fields that this server drops from the spec of what it is given. */
  drops: readonly string[] = [];
  /** So many times an address that is asked for is not free yet. */
  lateReleases = 0;
  /** Called before a write by maesh takes effect. */
  onWrite: (name: string, before: Json | null, after: Json | null) => void = () => undefined;
  onRemovedByHand: (name: string, before: Json) => void = () => undefined;
  busy = 0;
  #version = 100;
  #uid = 0;
  #address = 0;
  /** Ports that somebody else added by hand, which apply leaves alone. */
  readonly #foreignPorts = new Map<string, Json[]>();

  get resourceVersion(): string {
    return String(this.#version);
  }

  async get(path: string): Promise<Json> {
    await this.#turn();
    const object = this.objects.get(nameOf(path));
    if (object === undefined) throw refusal(404, 'NotFound');
    return structuredClone(object);
  }

  async apply(path: string, body: unknown, options: { force?: boolean } = {}): Promise<Json> {
    const fault = await this.#fault();
    const name = nameOf(path);
    const asked = structuredClone(body) as Json;
    const before = this.objects.get(name);
    this.#check(asked, before);
    if (before !== undefined && options.force !== true && !isOursAlready(before))
      throw refusal(409, 'Conflict');
    const after = before === undefined ? this.#made(name, asked) : this.#applied(before, asked);
    child(after, 'metadata')['managedFields'] = [{ manager: 'maesh', operation: 'Apply' }];
    return this.#store(`apply ${name}`, name, after, fault);
  }

  async patch(path: string, body: unknown): Promise<Json> {
    const fault = await this.#fault();
    const name = nameOf(path);
    const before = this.objects.get(name);
    if (before === undefined) throw refusal(404, 'NotFound');
    this.#check(body as Json, before);
    this.#foreignPorts.delete(name);
    const after = merge(before, body) as Json;
    for (const field of this.drops) delete child(after, 'spec')[field];
    return this.#store(`patch ${name}`, name, after, fault);
  }

  async delete(
    path: string,
    options: { uid?: string; resourceVersion?: string } = {},
  ): Promise<Json> {
    const fault = await this.#fault();
    const name = nameOf(path);
    const before = this.objects.get(name);
    if (before === undefined) throw refusal(404, 'NotFound');
    this.#check({ metadata: options }, before);
    this.onWrite(name, before, null);
    this.writes.push(`delete ${name}`);
    this.#remove(name);
    if (fault === 'lose-answer') throw new MeshError('connection_reset', 'the answer was lost');
    return {};
  }

  /** What a person does with kubectl edit. */
  editByHand(name: string, edit: (object: Json) => void): void {
    const before = this.objects.get(name);
    if (before === undefined) return;
    const after = structuredClone(before);
    edit(after);
    const known = new Set(portsOf(before).map((port) => JSON.stringify(port)));
    const added = portsOf(after).filter((port) => !known.has(JSON.stringify(port)));
    if (added.length > 0) this.#foreignPorts.set(name, added);
    this.#put(name, after);
  }

  createByHand(name: string, object: Json): void {
    this.#put(name, this.#made(name, structuredClone(object)));
  }

  removeByHand(name: string): void {
    const before = this.objects.get(name);
    if (before === undefined) return;
    this.onRemovedByHand(name, before);
    this.#remove(name);
  }

  #remove(name: string): void {
    this.objects.delete(name);
    this.#version += 1;
    this.#foreignPorts.delete(name);
    this.events.push({ name, object: null, resourceVersion: this.resourceVersion });
  }

  async #turn(): Promise<void> {
    this.busy += 1;
    await new Promise(setImmediate);
    this.busy -= 1;
  }

  async #fault(): Promise<Fault | undefined> {
    await this.#turn();
    const fault = this.faults.shift();
    if (fault === 'refuse') throw refusal(503, 'ServiceUnavailable');
    if (fault === 'lose') throw new MeshError('connect_timeout', 'the request was lost');
    return fault;
  }

  /** Preconditions. */
  #check(asked: Json, before: Json | undefined): void {
    const want = child(asked, 'metadata');
    const have = child(before ?? {}, 'metadata');
    for (const field of ['uid', 'resourceVersion']) {
      if (want[field] !== undefined && want[field] !== have[field]) throw refusal(409, 'Conflict');
    }
  }

  #made(name: string, asked: Json): Json {
    const spec = child(asked, 'spec');
    for (const field of this.drops) delete spec[field];
    const wanted = (spec['clusterIPs'] ?? []) as readonly string[];
    const families = (spec['ipFamilies'] ?? ['IPv4']) as readonly string[];
    const used = new Set([...this.objects.values()].flatMap(addressesOf));
    const isLate = wanted.length > 0 && this.lateReleases > 0;
    if (isLate) this.lateReleases--;
    if (isLate || wanted.some((address) => used.has(address))) throw refusal(422, 'Invalid');
    const clusterIPs = wanted.length > 0 ? wanted : families.map((family) => this.#give(family));
    if (portsOf(asked).length === 0) throw refusal(422, 'Invalid');
    this.#uid += 1;
    const metadata = {
      ...child(asked, 'metadata'),
      name,
      uid: `u${this.#uid}`,
      creationTimestamp: new Date(1_700_000_000_000 + this.#uid * 1_000).toISOString(),
    };
    return { ...asked, metadata, spec: { ...spec, clusterIP: clusterIPs[0], clusterIPs } };
  }

  #applied(before: Json, asked: Json): Json {
    const after = structuredClone(before);
    const metadata = child(after, 'metadata');
    const spec = child(after, 'spec');
    const askedSpec = child(asked, 'spec');
    for (const field of this.drops) delete askedSpec[field];
    for (const field of ['labels', 'annotations']) {
      const kept = Object.entries(child(metadata, field)).filter(
        ([key]) => !/maesh|kubernetes/.test(key),
      );
      metadata[field] = { ...Object.fromEntries(kept), ...child(child(asked, 'metadata'), field) };
    }
    const foreign = this.#foreignPorts.get(nameIn(before)) ?? [];
    const asks = portsOf(asked);
    const isAsked = (port: Json): boolean =>
      asks.some(
        (other) => other['port'] === port['port'] && other['protocol'] === port['protocol'],
      );
    Object.assign(spec, askedSpec, {
      ports: [...asks, ...foreign.filter((port) => !isAsked(port))],
    });
    const selector = {
      ...child(child(before, 'spec'), 'selector'),
      ...child(askedSpec, 'selector'),
    };
    spec['selector'] = selector;
    if (portsOf(after).length === 0) throw refusal(422, 'Invalid');
    const names = portsOf(after).map((port) => port['name'] ?? '');
    if (new Set(names).size < names.length) throw refusal(422, 'Invalid');
    return after;
  }

  #store(what: string, name: string, after: Json, fault: Fault | undefined): Json {
    const before = this.objects.get(name) ?? null;
    if (before !== null && isEqual(before, after)) {
      this.idleWrites += 1;
    } else {
      this.onWrite(name, before, after);
      this.writes.push(what);
      this.#put(name, after);
    }
    if (fault === 'lose-answer') throw new MeshError('connection_reset', 'the answer was lost');
    return structuredClone(this.objects.get(name) ?? {});
  }

  #put(name: string, object: Json): void {
    this.#version += 1;
    child(object, 'metadata')['resourceVersion'] = this.resourceVersion;
    this.objects.set(name, object);
    const copy = structuredClone(object);
    this.events.push({ name, object: copy, resourceVersion: this.resourceVersion });
  }

  #give(family: string): string {
    this.#address += 1;
    return family === 'IPv6' ? `fd00::${this.#address}` : `10.96.0.${this.#address}`;
  }
}

export function portsOf(object: Json): Json[] {
  return (child(object, 'spec')['ports'] ?? []) as Json[];
}

export function child(value: unknown, name: string): Json {
  const found = isRecord(value) ? value[name] : undefined;
  return isRecord(found) ? found : {};
}

export function annotationsOf(object: Json): Record<string, string> {
  return child(child(object, 'metadata'), 'annotations') as Record<string, string>;
}

function addressesOf(object: Json): readonly string[] {
  return (child(object, 'spec')['clusterIPs'] ?? []) as readonly string[];
}

function isOursAlready(object: Json): boolean {
  return annotationsOf(object)['maesh.dev/service'] !== undefined;
}

function nameIn(object: Json): string {
  return String(child(object, 'metadata')['name']);
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function refusal(status: number, reason: string): ApiError {
  return new ApiError('Cannot', { status, reason, detail: reason, causes: [], retryAfterMs: 0 });
}

/** RFC 7386. */
function merge(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return structuredClone(patch);
  const result: Json = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (value !== undefined) result[key] = merge(result[key], value);
  }
  return result;
}
