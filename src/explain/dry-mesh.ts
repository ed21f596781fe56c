/**
 * The tables of a proxy thread without its sockets: what `explain` asks. It reads the memory that it is given and writes
 * nothing there, so it may look at the memory of proxies that run.
 */

import type { Clock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import type { Identity } from '../model/endpoint.ts';
import type { Service } from '../model/service.ts';
import { LedgerView } from '../proxy/ledger/cells.ts';
import { SLOT_KINDS } from '../proxy/ledger/layout.ts';
import { Ledger } from '../proxy/ledger/ledger.ts';
import { type PlacedDelta, Placement } from '../proxy/ledger/placement.ts';
import { Governor } from '../proxy/policy/governor.ts';
import { type PortState, Table } from '../proxy/table/table.ts';
import type { Dial } from './dial.ts';

/** How much is known of the mesh: its manifests, what the admin API tells, or all that its proxies know. */
export type Knowledge = 'manifests' | 'admin' | 'memory';

export class DryMesh {
  readonly clock: Clock;
  readonly services = new Map<string, Service>();
  readonly identities = new Map<string, Identity>();
  knowledge: Knowledge;
  /** Who told of it, where several could: `agent maesh/maesh-agent-x on node n1 of https://…`; else ''. */
  asked = '';
  /** What that leaves open, as sentences. */
  notes: readonly string[] = [];
  readonly #table: Table;
  readonly #ports = new Set<PortState>();

  constructor(view: LedgerView, clock: Clock, knowledge: Knowledge = 'memory') {
    this.clock = clock;
    this.knowledge = knowledge;
    // Nothing here is left to chance: the seed only spares asking for one.
    this.#table = new Table(view, clock, seededRandom(1));
  }

  /** A mesh that just started: its own memory, everything healthy and idle. */
  static started(
    config: { readonly services: readonly Service[]; readonly identities: readonly Identity[] },
    clock: Clock,
  ): DryMesh {
    const ledger = new Ledger(1);
    const delta = { version: 1, ...config, removedServices: [], removedIdentities: [] };
    const placed = new Placement(ledger, clock).place(delta);
    // The governor fills the retry budgets.
    const governor = new Governor(ledger, clock);
    for (const service of config.services) governor.setService(service);
    const view = new LedgerView();
    for (const kind of SLOT_KINDS) {
      for (let i = 0; i < ledger.chunkCount(kind); i++) view.add(ledger.chunk(kind, i, 0));
    }
    const mesh = new DryMesh(view, clock, 'manifests');
    mesh.apply(placed);
    return mesh;
  }

  /** Follows the proxies: every delta that they get, in the same order. */
  apply(placed: PlacedDelta): void {
    const change = this.#table.apply(placed.services, placed.removedServices);
    for (const port of change.closed) this.#ports.delete(port);
    for (const port of change.opened) this.#ports.add(port);
    for (const key of placed.removedServices) this.services.delete(key);
    for (const { service } of placed.services) this.services.set(service.key, service);
    for (const identity of placed.identities) this.identities.set(identity.address, identity);
    for (const address of placed.removedIdentities) this.identities.delete(address);
  }

  /** Where a dial leads; undefined for nowhere. */
  dialled(dial: Dial): PortState | undefined {
    return dial.kind === 'reached' ? this.portOf(dial.service, dial.port, dial.udp) : undefined;
  }

  /** Port `number` of a Service (`namespace/name`), over TCP or UDP, wherever its listener is: in a cluster on a proxy port. */
  portOf(service: string, number: number, udp = false): PortState | undefined {
    for (const state of this.#ports) {
      const { port, protocol } = state.port;
      const isIt = port === number && (protocol === 'udp') === udp;
      if (isIt && state.service.service.key === service) return state;
    }
    return undefined;
  }

  ports(): Iterable<PortState> {
    return this.#ports;
  }
}
