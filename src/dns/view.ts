/** The Services by name and by address, kept up to date with deltas: what the DNS server answers from. */

import { addressesOf, type Delta, type Service } from '../model/service.ts';
import type { ZoneView } from './zone.ts';

/** A Service without an address is not there yet: callers that learn its name too early would be refused. */
export class ServiceView implements ZoneView {
  readonly #services = new Map<string, Service>();
  readonly #byAddress = new Map<string, Service>();
  readonly #servicesIn = new Map<string, number>();
  #version = 0;

  /** Takes a change in; the work is proportional to the delta. */
  apply(delta: Delta): void {
    for (const key of delta.removedServices) this.#remove(key);
    // An address may move from one Service to another within a delta, so all old ones go first.
    for (const service of delta.services) this.#remove(service.key);
    for (const service of delta.services) this.#add(service);
    this.#version = delta.version;
  }

  service(namespace: string, name: string): Service | undefined {
    return this.#services.get(`${namespace}/${name}`);
  }

  byAddress(ip: string): Service | undefined {
    return this.#byAddress.get(ip);
  }

  version(): number {
    return this.#version;
  }

  hasNamespace(namespace: string): boolean {
    return this.#servicesIn.has(namespace);
  }

  #add(service: Service): void {
    if (service.address === '') return;
    this.#services.set(service.key, service);
    for (const address of addressesOf(service)) this.#byAddress.set(address, service);
    this.#servicesIn.set(service.namespace, (this.#servicesIn.get(service.namespace) ?? 0) + 1);
  }

  #remove(key: string): void {
    const service = this.#services.get(key);
    if (service === undefined) return;
    this.#services.delete(key);
    for (const address of addressesOf(service)) {
      if (this.#byAddress.get(address) === service) this.#byAddress.delete(address);
    }
    const left = (this.#servicesIn.get(service.namespace) ?? 1) - 1;
    if (left > 0) this.#servicesIn.set(service.namespace, left);
    else this.#servicesIn.delete(service.namespace);
  }
}
