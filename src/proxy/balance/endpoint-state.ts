/** One endpoint as one thread knows it: its address, its shared figures, its idle connections. Outlives every update. */

import type { Endpoint } from '../../model/endpoint.ts';
import type { Cells } from '../ledger/cells.ts';
import { ENDPOINT_OWN, ENDPOINT_WORD } from '../ledger/layout.ts';

/** What the pool keeps here; the balancer never looks inside. */
export interface IdleConnection {
  close(): void;
}

export class EndpointState {
  readonly id: string;
  readonly address: string;
  readonly port: number;
  /** Replaced when the endpoint's weight or place changes. */
  endpoint: Endpoint;
  readonly cells: Cells;
  /** Connections without a request, the most recently used last. */
  readonly idle: IdleConnection[] = [];
  /** True once the endpoint left the backend: finish what runs, keep nothing idle. */
  gone = false;

  constructor(id: string, endpoint: Endpoint, cells: Cells) {
    this.id = id;
    this.endpoint = endpoint;
    this.address = endpoint.address;
    this.port = endpoint.port;
    this.cells = cells;
  }

  /** Requests in flight on all threads of the node. */
  get inFlight(): number {
    return this.cells.words[this.cells.w + ENDPOINT_WORD.inFlight] ?? 0;
  }

  begin(): void {
    const { words, w, own, o } = this.cells;
    Atomics.add(words, w + ENDPOINT_WORD.inFlight, 1);
    own[o + ENDPOINT_OWN.inFlight] = (own[o + ENDPOINT_OWN.inFlight] as number) + 1;
  }

  end(): void {
    const { words, w, own, o } = this.cells;
    Atomics.sub(words, w + ENDPOINT_WORD.inFlight, 1);
    own[o + ENDPOINT_OWN.inFlight] = (own[o + ENDPOINT_OWN.inFlight] as number) - 1;
  }
}
