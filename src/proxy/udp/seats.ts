/** The places of one session: among those of its Service, of its thread, and of its endpoint. */

import type { EndpointState } from '../balance/endpoint-state.ts';
import type { ServiceState } from '../table/table.ts';
import { leftToOthers } from './admit.ts';
import { Seat, type SessionRoom, type Sitter } from './session-room.ts';
import type { UdpShared } from './shared.ts';

export class Seats {
  readonly #shared: UdpShared;
  readonly #room: SessionRoom;
  readonly #inService: Seat;
  readonly #onThread: Seat;
  readonly #atEndpoint: Seat;
  #endpoint: EndpointState | null = null;
  /** That of the endpoint. */
  #place: SessionRoom | null = null;
  #wasAnswered = false;

  constructor(who: Sitter, flight: ServiceState, shared: UdpShared) {
    this.#shared = shared;
    this.#room = shared.roomOf(flight);
    this.#inService = new Seat(who);
    this.#onThread = new Seat(who);
    this.#atEndpoint = new Seat(who);
  }

  begin(): void {
    this.#room.enter(this.#inService);
    this.#shared.room.enter(this.#onThread);
  }

  end(): void {
    this.rise();
    this.#room.leave(this.#inService);
    this.#shared.room.leave(this.#onThread);
  }

  /** It turns to an endpoint. */
  sit(endpoint: EndpointState): void {
    this.rise();
    const place = this.#shared.roomOf(endpoint);
    this.#endpoint = endpoint;
    this.#place = place;
    place.enter(this.#atEndpoint, this.#wasAnswered);
    this.#leavePlaces(endpoint, place.size);
  }

  /** It turns away from it. */
  rise(): void {
    const [endpoint, place] = [this.#endpoint, this.#place];
    if (endpoint === null || place === null) return;
    this.#endpoint = null;
    this.#place = null;
    place.leave(this.#atEndpoint);
    this.#leavePlaces(endpoint, place.size);
  }

  /** A datagram of it came, of its caller or of an endpoint. */
  touch(isAnswer: boolean): void {
    const { room } = this.#shared;
    if (isAnswer && !this.#wasAnswered) {
      this.#wasAnswered = true;
      this.#room.answered(this.#inService);
      room.answered(this.#onThread);
      this.#place?.answered(this.#atEndpoint);
    }
    this.#room.touch(this.#inService);
    room.touch(this.#onThread);
    this.#place?.touch(this.#atEndpoint);
  }

  #leavePlaces(endpoint: EndpointState, own: number): void {
    const { connectionsPerEndpoint } = endpoint.limits;
    endpoint.reserved = leftToOthers(
      connectionsPerEndpoint,
      own,
      this.#shared.context.room.threads,
    );
  }
}
