/** A backend over real shared memory on a clock and a random sequence that stand still until told: for tests of balancing. */

import { ManualClock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import { DEFAULT_POLICIES } from '../../model/defaults.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { BalancePolicy, Policies } from '../../model/policy.ts';
import type { Backend } from '../../model/service.ts';
import { type Cells, LedgerView } from '../ledger/cells.ts';
import { ENDPOINT_FLOAT, ENDPOINT_WORD } from '../ledger/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import { endpointSlotKey } from '../ledger/placement.ts';
import { SOURCE_TABLE_BYTES, SourceTable } from '../ledger/source-table.ts';
import { BackendState, type PickRequest } from './backend-state.ts';
import type { EndpointState } from './endpoint-state.ts';

const BACKEND_ID = 'shop/web:80';

interface PoliciesChange extends Partial<Omit<Policies, 'balance'>> {
  readonly balance?: Partial<BalancePolicy>;
}

export function policiesWith(change: PoliciesChange = {}): Policies {
  const balance = { ...DEFAULT_POLICIES.balance, ...change.balance };
  return { ...DEFAULT_POLICIES, ...change, balance };
}

/** Endpoint `index`: an address of its own, weight 100, nowhere. */
export function endpointAt(index: number, change: Partial<Endpoint> = {}): Endpoint {
  const address = `127.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
  return { address, port: 8080, weight: 100, pod: '', node: '', zone: '', ...change };
}

export function endpointsWith(weights: readonly number[]): Endpoint[] {
  return weights.map((weight, index) => endpointAt(index, { weight }));
}

export function request(change: Partial<PickRequest> = {}): PickRequest {
  return { hash: -1, node: '', zone: '', avoid: null, affinity: -1, source: 0, ...change };
}

/** One memory for all fixtures of a process: shared buffers are dear to make by the thousand. */
const ledger = new Ledger(1);
const view = new LedgerView();
let chunks = 0;
let fixtures = 0;

export class BackendFixture {
  readonly clock = new ManualClock();
  readonly state: BackendState;
  readonly sources = new SourceTable(new SharedArrayBuffer(SOURCE_TABLE_BYTES));
  readonly #id = `${BACKEND_ID} ${fixtures++}`;

  readonly #protocol: Backend['protocol'];

  constructor(
    endpoints: readonly Endpoint[],
    policies: Policies,
    seed = 1,
    protocol: Backend['protocol'] = 'http/1.1',
  ) {
    this.#protocol = protocol;
    this.state = new BackendState(BACKEND_ID, this.clock, seededRandom(seed));
    this.update(endpoints, policies);
  }

  update(endpoints: readonly Endpoint[], policies: Policies): void {
    const backend: Backend = {
      id: BACKEND_ID,
      service: 'shop/web',
      protocol: this.#protocol,
      tls: null,
      endpoints,
    };
    this.state.update(
      backend,
      policies,
      endpoints.map((endpoint) => this.#cells(endpoint)),
      this.sources,
    );
  }

  pick(change: Partial<PickRequest> = {}): EndpointState | null {
    return this.state.pick(request(change), this.clock.nowMs());
  }

  at(index: number): EndpointState {
    const endpoint = this.state.endpoints[index];
    if (endpoint === undefined) throw new RangeError(`no endpoint ${index}`);
    return endpoint;
  }

  /** All shared figures of an endpoint. */
  figures(index: number): number[] {
    const { words, w, floats, f } = this.at(index).cells;
    return [...words.subarray(w, w + 8), ...floats.subarray(f, f + 6)];
  }

  setInFlight(index: number, inFlight: number): void {
    const { words, w } = this.at(index).cells;
    Atomics.store(words, w + ENDPOINT_WORD.inFlight, inFlight);
  }

  /** Puts an endpoint into a health state for an hour, as another thread would. */
  setHealth(index: number, health: number): void {
    const { words, w, floats, f } = this.at(index).cells;
    floats[f + ENDPOINT_FLOAT.ejectedUntilMs] = this.clock.nowMs() + 3_600_000;
    Atomics.store(words, w + ENDPOINT_WORD.health, health);
  }

  setPenalty(index: number, penalty: number): void {
    const { floats, f } = this.at(index).cells;
    floats[f + ENDPOINT_FLOAT.penalty] = penalty;
    floats[f + ENDPOINT_FLOAT.penaltyAtMs] = this.clock.nowMs();
  }

  setAddedAt(index: number, addedAtMs: number): void {
    const { floats, f } = this.at(index).cells;
    floats[f + ENDPOINT_FLOAT.addedAtMs] = addedAtMs;
  }

  /** How often each endpoint is picked in so many requests, as shares, by their index. */
  frequencies(count: number, change: (i: number) => Partial<PickRequest> = () => ({})): number[] {
    const picks = new Map<EndpointState, number>();
    for (let i = 0; i < count; i++) {
      const picked = this.pick(change(i));
      if (picked !== null) picks.set(picked, (picks.get(picked) ?? 0) + 1);
    }
    return this.state.endpoints.map((endpoint) => (picks.get(endpoint) ?? 0) / count);
  }

  odds(change: Partial<PickRequest> = {}): number[] {
    const odds = this.state.odds(request(change), this.clock.nowMs());
    return odds.map(({ share }) => share);
  }

  #cells(endpoint: Endpoint): Cells {
    const slot = ledger.allocate('endpoint', endpointSlotKey(this.#id, endpoint));
    while (chunks < ledger.chunkCount('endpoint')) view.add(ledger.chunk('endpoint', chunks++, 0));
    return view.cells('endpoint', slot);
  }
}
