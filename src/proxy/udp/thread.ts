/** The ports of UDP of one thread, by where they are. */

import { endpointKey } from '../../model/endpoint.ts';
import type { ListenAt } from '../net/socket.ts';
import { Place } from './place.ts';
import { placeKey, UdpShared } from './shared.ts';

export class UdpThread extends UdpShared {
  /** Ports that closed, and wait for sessions of this thread or another one. */
  readonly leaving = new Set<object>();
  readonly #places = new Map<string, Place>();

  /**
   * The socket of a port: that of before, while somebody still has it. It is claimed for who asked, until `give` or `unclaim`. Rejects
   * with the system's error.
   */
  async openPlace(at: ListenAt): Promise<Place> {
    // Any that is free: no two are the same.
    if (at.port === 0) return (await Place.open(at, this, () => undefined)).claim();
    const key = endpointKey(at);
    const known = this.#places.get(key);
    if (known !== undefined) return known.claim();
    const place = await Place.open(at, this, () => this.#closed(place));
    const meanwhile = this.#places.get(key);
    if (meanwhile !== undefined) {
      place.close();
      return meanwhile.claim();
    }
    this.#places.set(key, place);
    this.context.places.add(placeKey(at));
    return place.claim();
  }

  #closed(place: Place): void {
    const key = endpointKey(place.at);
    if (this.#places.get(key) !== place) return;
    this.#places.delete(key);
    this.context.places.delete(placeKey(place.at));
  }
}
