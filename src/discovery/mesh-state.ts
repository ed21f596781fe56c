/**
 * The agent's state of the mesh, and how what comes over the wire changes it: all of a change or nothing, and only what
 * differs. A snapshot is compared part by part as it comes, so that a new controller with the same data changes nothing.
 */

import { MeshError } from '../base/error.ts';
import type { Identity } from '../model/endpoint.ts';
import type { Delta, Service, Snapshot } from '../model/service.ts';
import { isEqual } from '../base/equal.ts';
import type { Part } from './part.ts';
import type { Refused } from './understanding.ts';

/** What a change does to one kind of thing: later parts overrule earlier ones. */
class Staging<T> {
  readonly #current: ReadonlyMap<string, T>;
  readonly changed = new Map<string, T>();
  readonly #removed = new Set<string>();
  /** In a snapshot, what it has; null in a change. */
  readonly #seen: Set<string> | null;

  constructor(current: ReadonlyMap<string, T>, isSnapshot: boolean) {
    this.#current = current;
    this.#seen = isSnapshot ? new Set() : null;
  }

  set(key: string, value: T): void {
    this.#seen?.add(key);
    this.#removed.delete(key);
    if (isEqual(this.#current.get(key), value)) this.changed.delete(key);
    else this.changed.set(key, value);
  }

  remove(key: string): void {
    this.#seen?.delete(key);
    this.changed.delete(key);
    if (this.#current.has(key)) this.#removed.add(key);
  }

  /** Keys that are there now, and not after the change. */
  removed(): string[] {
    const seen = this.#seen;
    if (seen === null) return [...this.#removed];
    return [...this.#current.keys()].filter((key) => !seen.has(key));
  }

  /** How many things a snapshot has. */
  get size(): number {
    return this.#seen?.size ?? 0;
  }
}

/** What is being received, between two commits. */
interface Change {
  readonly isSnapshot: boolean;
  readonly services: Staging<Service>;
  readonly refused: Staging<Refused>;
  readonly identities: Staging<Identity>;
  parts: number;
}

/** As a snapshot it is what the last commit made of it. */
export class MeshState implements Snapshot {
  readonly #services = new Map<string, Service>();
  readonly #refused = new Map<string, Refused>();
  readonly #identities = new Map<string, Identity>();
  #change: Change | null = null;
  /** Of the last delta; 0 before the first. */
  #version = 0;

  get services(): ReadonlyMap<string, Service> {
    return this.#services;
  }

  /** Services that are not among those, since they say what is not known here. */
  get refused(): ReadonlyMap<string, Refused> {
    return this.#refused;
  }

  get identities(): ReadonlyMap<string, Identity> {
    return this.#identities;
  }

  /** Version of the last delta; 0 before the first. */
  get version(): number {
    return this.#version;
  }

  /** Whether a snapshot is being received that has nothing in it so far. */
  get isEmptySnapshot(): boolean {
    const change = this.#change;
    if (change === null || !change.isSnapshot) return false;
    return change.services.size + change.refused.size + change.identities.size === 0;
  }

  /** What comes now is everything; what came since the last commit is forgotten. */
  beginSnapshot(): void {
    this.#change = this.#begin(true);
  }

  add(part: Part): void {
    const change = (this.#change ??= this.#begin(false));
    change.parts += 1;
    for (const service of part.services) {
      change.services.set(service.key, service);
      change.refused.remove(service.key);
    }
    for (const one of part.refused) {
      change.refused.set(one.key, one);
      change.services.remove(one.key);
    }
    for (const identity of part.identities) change.identities.set(identity.address, identity);
    for (const key of part.removedServices) {
      change.services.remove(key);
      change.refused.remove(key);
    }
    for (const address of part.removedIdentities) change.identities.remove(address);
  }

  /** Forgets what came since the last commit. */
  abort(): void {
    this.#change = null;
  }

  /**
   * Applies what came since the last commit.
   * @returns what differs, or null when nothing does; the first one is never null
   * @throws MeshError `invalid_input` when another number of parts was sent
   */
  commit(parts: number): Delta | null {
    const change = this.#change ?? this.#begin(false);
    this.#change = null;
    if (change.parts !== parts) {
      throw new MeshError(
        'invalid_input',
        `a change has ${change.parts} parts instead of ${parts}`,
      );
    }
    const removedServices = change.services.removed();
    const removedIdentities = change.identities.removed();
    const services = [...change.services.changed.values()];
    const identities = [...change.identities.changed.values()];
    for (const service of services) this.#services.set(service.key, service);
    for (const key of removedServices) this.#services.delete(key);
    for (const key of change.refused.removed()) this.#refused.delete(key);
    for (const [key, one] of change.refused.changed) this.#refused.set(key, one);
    for (const identity of identities) this.#identities.set(identity.address, identity);
    for (const address of removedIdentities) this.#identities.delete(address);
    const count =
      services.length + identities.length + removedServices.length + removedIdentities.length;
    if (count === 0 && this.#version > 0) return null;
    this.#version += 1;
    return { version: this.#version, services, removedServices, identities, removedIdentities };
  }

  #begin(isSnapshot: boolean): Change {
    return {
      isSnapshot,
      services: new Staging(this.#services, isSnapshot),
      refused: new Staging(this.#refused, isSnapshot),
      identities: new Staging(this.#identities, isSnapshot),
      parts: 0,
    };
  }
}
