/**
 * What becomes of the shadow of one Service: a pure function of what it is and of what is wanted. Each step is one write.
 *
 *            a Service with ports            all agents listen              Service gone
 *   nothing ─────────────────────► announced ─────────────────► published ─────────────► retired ── quarantine ──► nothing
 *                                      ▲                                                    │
 *                                      └──────────────── Service back: its old ports ───────┘
 *
 * The ports of a published one go the same way alone: announcedPorts ─► ports ─► retiredPorts ─► nothing.
 */

import { portId } from './names.ts';
import type { KubeProtocol } from './names.ts';
import type { Shortage } from './ports.ts';
import type { Allocation, RetiredPort, ShadowPort } from './shadow.ts';

/** Ports of one Service that have a proxy port; others have none. What has more from an older version keeps them. */
export const SERVICE_PORTS_MAX = 256;
/** Retired ports of one Service; beyond it the Service gets no new ports until a quarantine is over. */
const RETIRED_PORTS_MAX = 200;

export interface WantedPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: KubeProtocol;
}

export interface Situation {
  /** What was decided and written last; null when there is no shadow. */
  readonly record: Allocation | null;
  /** `namespace/name`, or '' when nobody knows. */
  readonly service: string;
  /** None when the Service is gone, out of scope, or has no port that proxies carry. */
  readonly wanted: readonly WantedPort[];
  /** All agents serve the record as it was written, or had their time. */
  readonly isServed: boolean;
  /** RFC 3339. */
  readonly now: string;
  /** Whether the quarantine that began then is over. */
  readonly isOver: (retiredAt: string) => boolean;
  /** Whether the proxy port is this Service's port, and no other one's, and may stay. */
  readonly holds: (port: ShadowPort) => boolean;
  /** The same, also of a proxy port that it has to leave. */
  readonly owns: (port: ShadowPort) => boolean;
  /** A port for `80/TCP` that nobody claims and that is not taken, or why there is none. */
  readonly choose: (port: string, taken: ReadonlySet<number>) => number | Shortage;
}

/** Why a port gets no proxy port. */
export type Want =
  | Shortage
  /** The Service has as many as a Service may have. */
  | 'service'
  /** The Service changed its ports so often that too many of its old ones are in quarantine. */
  | 'quarantine';

export interface StarvedPort extends WantedPort {
  readonly want: Want;
}

export interface Decision {
  /** null: no shadow. */
  readonly allocation: Allocation | null;
  /** Ports that get no proxy port. */
  readonly starved: readonly StarvedPort[];
}

export function decide(situation: Situation): Decision {
  const { record, wanted } = situation;
  if (wanted.length === 0) {
    return {
      allocation: record === null ? null : retire(expire(record, situation), situation),
      starved: [],
    };
  }
  const base = record === null ? nothing(situation) : expire(promote(record, situation), situation);
  return adapt(base, situation);
}

/** Whether agents have yet to listen on some of it. */
export function isWaiting(allocation: Allocation): boolean {
  return (
    allocation.state === 'announced' ||
    (allocation.state === 'published' && allocation.announcedPorts.length > 0)
  );
}

/** Everything in it that is in quarantine, by the time from which that counts. */
export function retirements(allocation: Allocation): readonly string[] {
  const times = allocation.retiredPorts.map(({ retiredAt }) => retiredAt);
  return allocation.state === 'retired' ? [...times, allocation.retiredAt] : times;
}

function nothing({ service }: Situation): Allocation {
  return {
    service,
    state: 'announced',
    retiredAt: '',
    ports: [],
    announcedPorts: [],
    retiredPorts: [],
  };
}

/** One step on for what agents serve. */
function promote(record: Allocation, { isServed, holds, now }: Situation): Allocation {
  if (!isServed) return record;
  if (record.state === 'announced') {
    return record.ports.every(holds) ? { ...record, state: 'published' } : record;
  }
  if (record.state !== 'published') return record;
  const opened = record.announcedPorts.filter(holds);
  const ids = new Set(opened.map(portId));
  const replaced = record.ports.filter((port) => ids.has(portId(port)));
  return {
    ...record,
    ports: [...record.ports.filter((port) => !ids.has(portId(port))), ...opened],
    announcedPorts: record.announcedPorts.filter((port) => !holds(port)),
    retiredPorts: withRetired(record.retiredPorts, replaced, now),
  };
}

function expire(record: Allocation, { isOver, now }: Situation): Allocation {
  const retiredPorts = record.retiredPorts.filter(({ retiredAt }) => !isOver(retiredAt));
  const retiredAt = record.state === 'retired' && record.retiredAt === '' ? now : record.retiredAt;
  return { ...record, retiredAt, retiredPorts };
}

function retire(record: Allocation, { now, isOver, service }: Situation): Allocation | null {
  if (record.state === 'retired') {
    return isOver(record.retiredAt) && record.retiredPorts.length === 0 ? null : record;
  }
  return {
    ...record,
    service: service === '' ? record.service : service,
    state: 'retired',
    retiredAt: now,
    announcedPorts: [],
    retiredPorts: withRetired(record.retiredPorts, record.announcedPorts, now),
  };
}

/** Turns what there is into what is wanted, as far as one write may go. */
function adapt(base: Allocation, situation: Situation): Decision {
  const { wanted, now, service } = situation;
  // As long as no name leads there, ports need not be announced one by one.
  const isDirect = base.state !== 'published';
  const open: ShadowPort[] = [];
  const announced: ShadowPort[] = [];
  const starved: StarvedPort[] = [];
  const taken = new Set<number>();
  // By id: a Service may want thousands of ports.
  const presentById = new Map(base.ports.map((port) => [portId(port), port]));
  const proxyPortFor = chooser(base, situation, taken);
  const ids = new Set(base.ports.filter(situation.holds).map(portId));
  // What it has comes first, however many that are.
  let room = SERVICE_PORTS_MAX - wanted.filter((port) => ids.has(portId(port))).length;
  for (const port of wanted) {
    const present = presentById.get(portId(port));
    if (present !== undefined && situation.holds(present)) {
      open.push({ ...present, name: port.name });
      continue;
    }
    const before = leadsNow(base, present, port);
    const proxyPort = room > 0 ? proxyPortFor(port) : 'service';
    if (typeof proxyPort !== 'number') {
      starved.push({ ...port, want: proxyPort });
      // It cannot move for now: callers are served where they are.
      const own = before.slice(0, room).filter(situation.owns);
      room -= own.length;
      open.push(...own);
      continue;
    }
    room -= 1;
    taken.add(proxyPort);
    (isDirect ? open : announced).push({ ...port, proxyPort });
    // It leads to another Service now; until there is a better one, that changes nothing.
    open.push(...before);
  }
  if (open.length === 0 && announced.length === 0) {
    const isNew = base.ports.length === 0;
    return { allocation: isNew ? null : retire(base, situation), starved };
  }
  const kept = settle(base, open, announced);
  const inUse = placesOf([...kept.ports, ...kept.announcedPorts]);
  const gone = [...base.ports, ...base.announcedPorts].filter((port) => !inUse.has(placeOf(port)));
  const allocation: Allocation = {
    service,
    ...kept,
    retiredAt: '',
    retiredPorts: withRetired(base.retiredPorts, gone, now).filter(
      (port) => !inUse.has(placeOf(port)),
    ),
  };
  return { allocation, starved };
}

/** Where callers of a port are led now, if they are. */
function leadsNow(
  { state }: Allocation,
  present: ShadowPort | undefined,
  { name }: WantedPort,
): readonly ShadowPort[] {
  return state !== 'published' || present === undefined ? [] : [{ ...present, name }];
}

/** An object must have a port: the last old ones stay until new ones can take over. */
function settle(
  base: Allocation,
  open: readonly ShadowPort[],
  announced: readonly ShadowPort[],
): Pick<Allocation, 'state' | 'ports' | 'announcedPorts'> {
  const state = base.state === 'published' ? 'published' : 'announced';
  if (open.length > 0) return { state, ports: open, announcedPorts: announced };
  if (base.ports.length > 0) return { state, ports: base.ports, announcedPorts: announced };
  return { state: 'announced', ports: announced, announcedPorts: [] };
}

/** Gives a port the proxy port that it had, as long as that is still its own; else a new one. `taken` grows with what it gave. */
function chooser(
  base: Allocation,
  { holds, choose }: Situation,
  taken: ReadonlySet<number>,
): (port: WantedPort) => number | Want {
  const hadById = Map.groupBy([...base.announcedPorts, ...base.retiredPorts], portId);
  // What ends a share ends it for all further ports.
  let isShareUsed = false;
  return (port) => {
    const id = portId(port);
    const had = hadById.get(id) ?? [];
    const own = had.find((other) => holds(other) && !taken.has(other.proxyPort));
    if (own !== undefined) return own.proxyPort;
    if (base.retiredPorts.length >= RETIRED_PORTS_MAX) return 'quarantine';
    const chosen = isShareUsed ? 'namespace' : choose(id, taken);
    isShareUsed = chosen === 'namespace';
    return chosen;
  };
}

function withRetired(
  retired: readonly RetiredPort[],
  ports: readonly ShadowPort[],
  now: string,
): readonly RetiredPort[] {
  if (ports.length === 0) return retired;
  const added = ports.map(({ name, port, protocol, proxyPort }) => ({
    name,
    port,
    protocol,
    proxyPort,
    retiredAt: now,
  }));
  const places = placesOf(added);
  return [...retired.filter((port) => !places.has(placeOf(port))), ...added];
}

function placeOf(port: ShadowPort): string {
  return `${portId(port)} ${port.proxyPort}`;
}

function placesOf(ports: readonly ShadowPort[]): ReadonlySet<string> {
  return new Set(ports.map(placeOf));
}
