/** Gives Pods of manifests an address where no cluster gave them one, on their way into the store. */

import { MeshError } from '../../base/error.ts';
import type { PodObject } from '../../kube/kind/pod.ts';
import type { KubeObject } from '../../kube/object.ts';
import { NO_ORIGIN, type ObjectRef, type Origin, type Store } from '../../kube/store.ts';
import { POD_ADDRESS } from '../../model/names.ts';
import { AddressBook } from './book.ts';
import { contains, ipv4Number, ipv4Text, parseCidr } from './cidr.ts';

export interface PodRange {
  /** `127.78.0.0/16`; null: only annotations give addresses. */
  readonly podCidr: string | null;
  /** Which it must not overlap; null for none. */
  readonly serviceCidr: string | null;
}

/** The writing side of a store: the same objects come out of it, Pods with an address. */
export class PodAddresses {
  readonly #store: Store;
  readonly #book: AddressBook | null;
  /** Pods that have an address of the range, as they were written. */
  readonly #given = new Map<string, { readonly pod: PodObject; readonly origin: Origin }>();

  /** Throws `invalid_setting` when the range cannot be used. */
  constructor(store: Store, { podCidr, serviceCidr }: PodRange) {
    this.#store = store;
    const range = podCidr === null ? null : parseCidr(podCidr);
    const taken = serviceCidr === null ? null : parseCidr(serviceCidr);
    if (range !== null && taken !== null) {
      if (contains(taken, range.first) || contains(range, taken.first)) {
        throw new MeshError(
          'invalid_setting',
          `Cannot use --pods "${range.text}": it overlaps --service-cidr "${taken.text}"; give another range`,
        );
      }
    }
    this.#book = range === null ? null : new AddressBook(range);
  }

  /** Pods with an address of the range, and which: `shop/web-1` and `127.78.3.4`, in order of their names. */
  given(): readonly (readonly [pod: string, address: string])[] {
    const found: [string, string][] = [];
    for (const key of [...this.#given.keys()].sort()) {
      const address = this.#book?.addressOf(key) ?? null;
      if (address !== null) found.push([key, ipv4Text(address)]);
    }
    return found;
  }

  batch(change: () => void): void {
    this.#store.batch(change);
  }

  set(object: KubeObject, origin: Origin = NO_ORIGIN): void {
    if (object.kind !== 'Pod') return this.#store.set(object, origin);
    this.#store.batch(() => this.#setPod(object, origin));
  }

  delete(ref: ObjectRef): void {
    this.#store.batch(() => {
      this.#store.delete(ref);
      if (ref.kind !== 'Pod') return;
      const key = `${ref.namespace}/${ref.name}`;
      this.#given.delete(key);
      this.#book?.delete(key);
      this.#settle();
    });
  }

  #setPod(written: PodObject, origin: Origin): void {
    const key = `${written.meta.namespace}/${written.meta.name}`;
    const pod = annotated(written);
    const [address] = pod.podIPs;
    // A phase comes from a cluster, which knows best that there is no address yet, or no more.
    const isGiven = address === undefined && pod.phase === '';
    if (isGiven) this.#given.set(key, { pod, origin });
    else this.#given.delete(key);
    if (isGiven || address !== undefined) {
      this.#book?.set(key, address === undefined ? null : ipv4Number(address));
    } else this.#book?.delete(key);
    this.#store.set(this.#addressed(key, pod), origin);
    this.#settle();
  }

  /** Who joins or leaves may move another one. */
  #settle(): void {
    for (const key of this.#book?.takeTouched() ?? []) {
      const given = this.#given.get(key);
      if (given !== undefined) this.#store.set(this.#addressed(key, given.pod), given.origin);
    }
  }

  #addressed(key: string, pod: PodObject): PodObject {
    if (pod.podIPs.length > 0 || !this.#given.has(key)) return pod;
    const address = this.#book?.addressOf(key) ?? null;
    return address === null ? pod : withAddress(pod, ipv4Text(address));
  }
}

/** A bad address is told where annotations are read. */
function annotated(pod: PodObject): PodObject {
  const address = (pod.meta.annotations[POD_ADDRESS] ?? '').trim();
  const isUsed = pod.podIPs.length === 0 && pod.phase === '' && ipv4Number(address) !== null;
  return isUsed ? withAddress(pod, address) : pod;
}

function withAddress(pod: PodObject, address: string): PodObject {
  return { ...pod, podIPs: [address], ready: pod.meta.deletionTimestamp === '' };
}
