/** Addresses that lead back into the mesh, so that they are endpoints of nobody: those of agents, and cluster IPs of its own Services. */

import { type Identity, isAccount } from '../../model/endpoint.ts';
import type { Service } from '../../model/service.ts';

/** Who has such an address. */
export type MeshOwner = 'agent' | 'service';

export class MeshAddresses {
  readonly #account: string;
  readonly #agents = new Set<string>();
  /** By the name of the Service of the mesh. */
  readonly #addressesOf = new Map<string, readonly string[]>();
  /** How many of these Services have it: it may go from one to the next. */
  readonly #services = new Map<string, number>();
  /** Services with endpoints that were left out. */
  readonly #leading = new Set<string>();
  readonly #came = new Set<string>();
  #hasLeft = false;

  /** `account`: `namespace/name` of the ServiceAccount of agents, or ''. */
  constructor(account: string) {
    this.#account = account;
  }

  ownerOf(address: string): MeshOwner | null {
    if (this.#agents.has(address)) return 'agent';
    return this.#services.has(address) ? 'service' : null;
  }

  /** Agents came or went. */
  noteIdentities(identities: readonly Identity[], removed: readonly string[]): void {
    for (const address of removed) this.#removeAgent(address);
    for (const identity of identities) {
      const { address } = identity;
      if (!isAccount(identity, this.#account)) this.#removeAgent(address);
      else if (!this.#agents.has(address)) {
        this.#agents.add(address);
        this.#came.add(address);
      }
    }
  }

  /** A Service of the mesh itself has these addresses now; none when it is gone. */
  setService(name: string, addresses: readonly string[]): void {
    const before = this.#addressesOf.get(name) ?? [];
    if (before.join() === addresses.join()) return;
    if (addresses.length === 0) this.#addressesOf.delete(name);
    else this.#addressesOf.set(name, addresses);
    for (const address of addresses) {
      const count = this.#services.get(address) ?? 0;
      this.#services.set(address, count + 1);
      if (count === 0) this.#came.add(address);
    }
    for (const address of before) {
      const count = this.#services.get(address) ?? 0;
      if (count > 1) this.#services.set(address, count - 1);
      else {
        this.#services.delete(address);
        this.#hasLeft = true;
      }
    }
  }

  /** Whether endpoints of the Service were left out, since the mesh has their addresses. */
  setLeading(key: string, isLeading: boolean): void {
    if (isLeading) this.#leading.add(key);
    else this.#leading.delete(key);
  }

  /** Services to look at again, since addresses came or went after the last call. */
  takeTouched(services: Iterable<Service>): readonly string[] {
    const touched = this.#hasLeft ? [...this.#leading] : [];
    this.#hasLeft = false;
    if (this.#came.size === 0) return touched;
    for (const { key, ports } of services) {
      const isLed = ports.some(({ backend }) =>
        backend.endpoints.some(({ address }) => this.#came.has(address)),
      );
      if (isLed) touched.push(key);
    }
    this.#came.clear();
    return touched;
  }

  #removeAgent(address: string): void {
    if (this.#agents.delete(address)) this.#hasLeft = true;
  }
}
