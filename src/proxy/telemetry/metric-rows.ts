/** The Services and endpoints that have something to tell, with their slots: what one scrape goes through. */

import type { Endpoint } from '../../model/endpoint.ts';
import { endpointKey } from '../../model/endpoint.ts';
import {
  type PolicyScope,
  portText,
  scopesOf,
  type Service,
  type ServicePort,
} from '../../model/service.ts';
import { ENDPOINT_OWN, ENDPOINT_WORD, SERVICE_OWN, SERVICE_WORD } from '../ledger/layout.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { endpointSlotKey } from '../ledger/placement.ts';
import type { MetricsSource } from './metrics-source.ts';

/** How many Services and endpoints may have series of their own in one scrape; the rest is counted, not shown. */
export interface MetricLimits {
  /** Default 10,000; a Service has some 45 series. */
  readonly services: number;
  /** Default 2,000; an endpoint has some 40 series. */
  readonly endpoints: number;
}

export const DEFAULT_METRIC_LIMITS: MetricLimits = { services: 10_000, endpoints: 2_000 };

export interface Row {
  readonly slot: number;
  /** `service="shop/web"`, escaped. */
  readonly labels: string;
  readonly hasBreaker: boolean;
}

/** A method of gRPC. */
export interface MethodRow {
  /** `service="shop/cart",method="shop.Cart/Add"`, escaped. */
  readonly labels: string;
  /** METHOD_CELL. */
  readonly cells: Float64Array;
}

export class MetricRows {
  readonly services: Row[] = [];
  readonly endpoints: Row[] = [];
  readonly methods: MethodRow[] = [];
  omittedServices = 0;
  omittedEndpoints = 0;
  readonly #source: MetricsSource;
  readonly #limits: MetricLimits;
  readonly #serviceCells = new Float64Array(SERVICE_OWN.buckets);
  readonly #endpointCells = new Float64Array(ENDPOINT_OWN.abandoned + 1);

  constructor(source: MetricsSource, limits: MetricLimits) {
    this.#source = source;
    this.#limits = limits;
  }

  /** Fills the rows; yields '' wherever the caller may pause. */
  *collect(): Generator<string, void, undefined> {
    const services = [...this.#source.services()].sort((a, b) => (a.key < b.key ? -1 : 1));
    for (const service of services) {
      for (const scope of scopesOf(service)) this.#collectScope(service, scope);
      this.#collectMethods(service);
      for (const port of service.ports) {
        for (const endpoint of port.backend.endpoints) {
          this.#collectEndpoint(port, endpoint);
          yield '';
        }
      }
      yield '';
    }
  }

  #collectScope({ key }: Service, { key: slotKey, policies, port }: PolicyScope): void {
    const { ledger } = this.#source;
    const slot = ledger.find('service', slotKey);
    if (slot === undefined || !isServiceUsed(ledger, slot, this.#serviceCells)) return;
    if (this.services.length >= this.#limits.services) {
      this.omittedServices += 1;
      return;
    }
    const ofPort = port === null ? '' : `,port="${portText(port)}"`;
    const labels = `service="${escapeLabel(key)}"${ofPort}`;
    this.services.push({ slot, labels, hasBreaker: policies.breaker !== null });
  }

  #collectMethods({ key }: Service): void {
    for (const { method, cells } of this.#source.methods(key)) {
      const labels = `service="${escapeLabel(key)}",method="${escapeLabel(method)}"`;
      this.methods.push({ labels, cells: cells.slice() });
    }
  }

  #collectEndpoint(port: ServicePort, endpoint: Endpoint): void {
    const { ledger } = this.#source;
    const slot = ledger.find('endpoint', endpointSlotKey(port.backend.id, endpoint));
    if (slot === undefined || !isEndpointUsed(ledger, slot, this.#endpointCells)) return;
    if (this.endpoints.length >= this.#limits.endpoints) {
      this.omittedEndpoints += 1;
      return;
    }
    const service = escapeLabel(port.backend.service);
    const address = escapeLabel(endpointKey(endpoint));
    const labels = `service="${service}",port="${portText(port)}",endpoint="${address}"`;
    this.endpoints.push({ slot, labels, hasBreaker: false });
  }
}

/** A Service without a request, a caller or an open breaker has nothing to tell. */
function isServiceUsed(ledger: Ledger, slot: number, cells: Float64Array): boolean {
  ledger.sumInto('service', slot, SERVICE_OWN.requests, cells);
  return (
    cells.some(isSet) ||
    ledger.word('service', slot, SERVICE_WORD.inFlight) !== 0 ||
    ledger.word('service', slot, SERVICE_WORD.breakerState) !== 0
  );
}

function isEndpointUsed(ledger: Ledger, slot: number, cells: Float64Array): boolean {
  ledger.sumInto('endpoint', slot, ENDPOINT_OWN.requests, cells);
  return (
    cells.some(isSet) ||
    ledger.word('endpoint', slot, ENDPOINT_WORD.inFlight) !== 0 ||
    ledger.word('endpoint', slot, ENDPOINT_WORD.ejections) !== 0
  );
}

const isSet = (value: number): boolean => value !== 0;

/** Backslash, quote and line feed, as the text format asks. */
export function escapeLabel(value: string): string {
  return /[\\"\n]/.test(value)
    ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
    : value;
}
