/** The figures of Services and endpoints as the admin server asks for them: by what they are, not by slot. */

import type { Endpoint } from '../../model/endpoint.ts';
import type {
  BreakerState,
  EndpointFigures,
  EndpointStats,
  ServiceStats,
} from '../../model/stats.ts';
import { ENDPOINT_OWN, ENDPOINT_WORD } from '../ledger/layout.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { endpointSlotKey } from '../ledger/placement.ts';
import { breakerOf, countOf, healthOf, type StatsSampler } from './service-stats.ts';

const UNKNOWN: EndpointFigures = {
  health: 'healthy',
  inFlight: 0,
  requests: 0,
  ejections: 0,
  connections: 0,
};

export class LedgerFigures {
  readonly #ledger: Ledger;
  readonly #sampler: StatsSampler;
  readonly #classes = new Float64Array(6);

  constructor(ledger: Ledger, sampler: StatsSampler) {
    this.#ledger = ledger;
    this.#sampler = sampler;
  }

  breaker(serviceKey: string): BreakerState {
    const slot = this.#ledger.find('service', serviceKey);
    return slot === undefined ? 'closed' : breakerOf(this.#ledger, slot);
  }

  endpoint(backend: string, endpoint: Endpoint): EndpointFigures {
    const slot = this.#ledger.find('endpoint', endpointSlotKey(backend, endpoint));
    if (slot === undefined) return UNKNOWN;
    this.#ledger.sumInto('endpoint', slot, ENDPOINT_OWN.requests, this.#classes);
    const word = (cell: number): number => countOf(this.#ledger.word('endpoint', slot, cell));
    return {
      health: healthOf(this.#ledger, slot),
      inFlight: word(ENDPOINT_WORD.inFlight),
      requests: this.#classes.reduce((sum, count) => sum + count, 0),
      ejections: word(ENDPOINT_WORD.ejections),
      connections: word(ENDPOINT_WORD.connections),
    };
  }

  /** Samples first, so that whoever asks again and again gets rates without anybody else's help. */
  serviceStats(serviceKey: string, portKeys: readonly string[]): ServiceStats {
    this.#sampler.sample();
    return this.#sampler.of(serviceKey, portKeys);
  }

  inFlight(key: string): number {
    return this.#sampler.inFlight(key);
  }

  endpointStats(backend: string, endpoint: Endpoint): EndpointStats {
    this.#sampler.sample();
    return this.#sampler.endpoint(endpointSlotKey(backend, endpoint));
  }
}
