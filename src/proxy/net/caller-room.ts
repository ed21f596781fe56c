/**
 * The room that one thread has for callers: connections, bytes that wait, and file descriptors. While there is enough, everybody may
 * have all of it. When it runs out, each source address and each Service has an equal share: who has less than that is let
 * in, and who has most makes room; first heads that are not whole, then idle connections, then others.
 */

import type { Guard } from '../../base/guard.ts';
import { Line, Stand } from '../../base/line.ts';
import type { DeadlineWheel, Expiring } from './deadline-wheel.ts';

/** What a connection is doing, in the order in which little is lost with it. */
export const PARTIAL_HEAD = 0;
export const IDLE = 1;
export const LEAVING = 2;
export const BUSY = 3;
export const STANDINGS = ['partial_head', 'idle', 'leaving', 'busy', 'refused'] as const;
const REFUSED = STANDINGS.indexOf('refused');

/** What ran out. */
export const SCARCE = ['connections', 'memory', 'descriptors'] as const;
export type Scarce = (typeof SCARCE)[number];

/** A connection of a caller, as far as the room knows it. */
export interface Guest {
  /** Source address. */
  readonly address: string;
  /** Key of the Service. */
  readonly service: string;
  readonly standing: typeof PARTIAL_HEAD | typeof IDLE | typeof LEAVING | typeof BUSY;
  /** What its requests are in flight of, where not all of the Service has one limit. */
  readonly crowd?: object;
  /** Requests in flight where there may be several; else one while it is busy. */
  readonly requests?: number;
  /** Memory that waits for a peer of this connection: a partial head, a kept body, what a slow reader has not taken. */
  readonly heldBytes: number;
  /** It calls `wake` itself before anything waits, whatever it is doing. */
  readonly wakes?: true;
  /** Owned by the room: nothing waits, and nothing can until the caller sends a byte; then `wake` must be called. */
  asleep: boolean;
  /** Owned by the room. */
  place: Place | null;
  /** Lets go of the caller at once. */
  shed(): void;
}

/** Where a guest stands in the room. */
export class Place {
  readonly inSource: Stand<Guest>;
  readonly inService: Stand<Guest>;
  readonly awake: Stand<Guest>;

  constructor(guest: Guest) {
    this.inSource = new Stand(guest);
    this.inService = new Stand(guest);
    this.awake = new Stand(guest);
  }
}

/** Guests, the oldest first. */
export interface Guests extends Iterable<Guest> {
  readonly size: number;
}

/** The last bytes of a caller that is done: they wait for an endpoint, and nobody is told what becomes of them. */
export interface Remainder {
  /** 0 once they were taken, or cannot be. */
  readonly waitingBytes: number;
  /** Gives them up, so that the endpoint does not take what it has for all. */
  dropRest(): void;
}

export interface RoomLimits {
  readonly connections: number;
  /** Of all connections of the thread, CONNECTION_BYTES each included. */
  readonly bytes: number;
  /** Of the process; Infinity when not known. */
  readonly descriptors: number;
  readonly threads: number;
  /** Local ports that the process may dial from; Infinity when not known. */
  readonly ports: number;
}

export interface RoomEvent {
  readonly scarce: Scarce;
  /** The source address that was refused or lost connections. */
  readonly source: string;
  /** What it had. */
  readonly connections: number;
  /** What was closed: 0 when a new connection was refused. */
  readonly closed: number;
}

/**
 * What a connection costs while it does nothing, rounded up. Measured with 9,000 of them: 2.8 to 3.7 kB of resident memory, and 3.7 kB
 * that the kernel keeps (socket, inode, file, dentry, epoll), which a memory limit counts too.
 */
export const CONNECTION_BYTES = 8_192;
/** Descriptors that are left to everything else: logs, listeners, the admin API, dials under way on other threads. */
export const DESCRIPTORS_KEPT = 64;
/**
 * Sessions of UDP cost a caller one datagram with any source, so they have a part of everything: what needs a handshake finds room. Each
 * takes a local port from all protocols and programs beside it.
 */
const SESSIONS_PART = 0.5;
const SESSION_PORTS_PART = 0.75;
const SWEEP_MS = 100;
const NOBODY: Guests = new Line<Guest>();
/** Connections closed in one go, as a part of all: looking for them costs a look at each. */
const BATCH_PART = 64;

/** Of what Node shares out to small buffers: somewhat more than `Buffer.poolSize`. */
const POOL_BYTES = Buffer.allocUnsafe(1).buffer.byteLength;

/** Memory that a buffer keeps: the whole of what it is a part of, but for what Node's pool shares out. */
export function pinnedBytes(buffer: Buffer | null): number {
  if (buffer === null) return 0;
  const whole = buffer.buffer.byteLength;
  return whole === POOL_BYTES ? buffer.length : whole;
}

class Holder {
  readonly guests = new Line<Guest>();
  /** As of the last time that there was too much. */
  bytes = 0;
}

export class CallerRoom implements Expiring {
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  /** By what ran out and what became of the connection, row by row. */
  readonly shed = new Float64Array(SCARCE.length * STANDINGS.length);
  /** Told of each refusal and each batch. */
  onEvent: ((event: RoomEvent) => void) | undefined;
  /** Connections to endpoints of this thread, idle ones too. */
  endpointConnections = 0;
  /** Of these, the ones that carry nothing but a copy for a mirror: no caller will use them soon. */
  copies = 0;
  /** Sessions of UDP among the guests: a connection to an endpoint is all that each has. */
  sessions = 0;
  /** Of the last new caller: about so many descriptors are in use. */
  #lastDescriptor = 0;
  readonly #limits: RoomLimits;
  readonly #wheel: DeadlineWheel;
  readonly #guard: Guard;
  readonly #sources = new Map<string, Holder>();
  readonly #services = new Map<string, Holder>();
  /** Those of which something may wait: a sum over thousands of idle ones would take some percent of a core. */
  readonly #awake = new Line<Guest>();
  /** The oldest first. */
  readonly #remainders = new Set<Remainder>();
  readonly #sessionsMax: number;
  #size = 0;
  #bytes = 0;

  constructor(limits: RoomLimits, wheel: DeadlineWheel, guard: Guard) {
    this.#limits = limits;
    this.#sessionsMax = sessionsMax(limits);
    this.#wheel = wheel;
    this.#guard = guard;
  }

  get size(): number {
    return this.#size;
  }

  /** What callers hold, as of the last sweep and of the connections since. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Whether a new connection may stay; makes room for it when it must. `descriptor` is its number: the system gives the lowest that is
   * free, so the process has at least as many. 0 when not known.
   */
  admits(address: string, service: string, descriptor: number): boolean {
    let scarce = this.#scarce(descriptor);
    if (scarce === 'memory') {
      this.#dropRemainders(CONNECTION_BYTES);
      scarce = this.#scarce(descriptor);
    }
    if (scarce === '' || this.#makeRoom(scarce, address, service)) return true;
    return this.#refuse(scarce, address);
  }

  #refuse(scarce: Scarce, address: string): false {
    this.#count(scarce, REFUSED);
    const connections = this.#sources.get(address)?.guests.size ?? 0;
    this.onEvent?.({ scarce, source: address, connections, closed: 0 });
    return false;
  }

  /**
   * As `admits`, for a session of UDP: no number tells how many descriptors are in use, so they are counted. Sessions have a part of all;
   * beyond it, and before a new one is refused, the one that `giver` finds makes room.
   */
  admitsSession(address: string, service: string, giver: () => Guest | null): boolean {
    const used = this.#size - this.sessions + this.endpointConnections;
    const hasPart = this.sessions < this.#sessionsMax;
    const scarce = hasPart ? this.#scarce(used * this.#limits.threads) : 'connections';
    if (scarce === '' || (hasPart && this.#makeRoom(scarce, address, service))) return true;
    const guest = giver();
    if (guest === null) return this.#refuse(scarce, address);
    this.#shed(scarce, guest);
    return true;
  }

  /** How often this became of a connection because that ran out. */
  count(scarce: Scarce, standing: (typeof STANDINGS)[number]): number {
    return this.shed[placeOf(scarce, STANDINGS.indexOf(standing))] ?? 0;
  }

  get threads(): number {
    return this.#limits.threads;
  }

  /** Those of one Service on this thread. */
  guestsOf(service: string): Guests {
    return this.#services.get(service)?.guests ?? NOBODY;
  }

  enter(guest: Guest): void {
    const place = new Place(guest);
    guest.place = place;
    holderOf(this.#sources, guest.address).guests.add(place.inSource);
    holderOf(this.#services, guest.service).guests.add(place.inService);
    this.wake(guest);
    this.#size++;
    this.#bytes += CONNECTION_BYTES;
    this.#beginSweeps();
  }

  /** Counts what a caller leaves behind, until nothing of it waits any more. */
  keep(remainder: Remainder): void {
    if (remainder.waitingBytes === 0) return;
    this.#remainders.add(remainder);
    this.#beginSweeps();
  }

  /** The caller sent something: from now on its memory is counted again. */
  wake(guest: Guest): void {
    guest.asleep = false;
    const { place } = guest;
    if (place !== null && place.awake.line === null) this.#awake.add(place.awake);
  }

  leave(guest: Guest): void {
    const { place } = guest;
    if (place === null) return;
    // What it still sends must not bring it back.
    guest.asleep = false;
    guest.place = null;
    place.awake.leave();
    leaveHolder(this.#sources, guest.address, place.inSource);
    leaveHolder(this.#services, guest.service, place.inService);
    this.#size--;
    this.#bytes -= CONNECTION_BYTES;
    if (!this.#isEmpty) return;
    this.#bytes = 0;
    this.#wheel.disarm(this);
  }

  /** Adds up what waits, and sheds what is too much. */
  onDeadline(nowMs: number): void {
    this.sweep();
    if (this.#isEmpty) return;
    this.deadlineMs = nowMs + SWEEP_MS;
    this.#wheel.arm(this);
  }

  onDefect(error: unknown): void {
    this.#guard.caught('proxy', error);
    this.deadlineMs = this.#wheel.nowMs + SWEEP_MS;
    this.#wheel.arm(this);
  }

  sweep(): void {
    let total = this.#size * CONNECTION_BYTES;
    // Without its iterator, which would be a list of thousands: whoever is asked changes nothing.
    for (let stand = this.#awake.first, next = null; stand !== null; stand = next) {
      next = stand.behind;
      const guest = stand.who;
      const { heldBytes, standing } = guest;
      total += heldBytes;
      const isQuiet = guest.wakes === true || standing === IDLE || standing === PARTIAL_HEAD;
      if (heldBytes > 0 || !isQuiet) continue;
      guest.asleep = true;
      this.#awake.remove(stand);
    }
    for (const remainder of this.#remainders) {
      const { waitingBytes } = remainder;
      total += waitingBytes;
      if (waitingBytes === 0) this.#remainders.delete(remainder);
    }
    this.#bytes = total;
    if (this.#isEmpty) this.#wheel.disarm(this);
    this.#dropRemainders(0);
    if (this.#bytes <= this.#limits.bytes) return;
    for (const holder of this.#sources.values()) {
      holder.bytes = holder.guests.size * CONNECTION_BYTES;
      for (const guest of holder.guests) holder.bytes += guest.heldBytes;
    }
    this.#shedBytes();
  }

  get #isEmpty(): boolean {
    return this.#size === 0 && this.#remainders.size === 0;
  }

  #beginSweeps(): void {
    if (this.deadlineMs !== Infinity) return;
    this.deadlineMs = this.#wheel.nowMs + SWEEP_MS;
    this.#wheel.arm(this);
  }

  /** Until there is room for so many bytes: what callers have left behind goes before those that are still there. */
  #dropRemainders(wanted: number): void {
    for (const remainder of this.#remainders) {
      if (this.#bytes + wanted <= this.#limits.bytes) return;
      this.#bytes -= remainder.waitingBytes;
      this.#remainders.delete(remainder);
      this.#count('memory', LEAVING);
      remainder.dropRest();
    }
  }

  /** Whether a copy may have a connection: the last quarter of the descriptors is for callers. */
  admitsCopy(): boolean {
    const { descriptors } = this.#limits;
    return (this.#lastDescriptor + this.#owed(0) + this.copies) * 4 < descriptors * 3;
  }

  /** Descriptors that `more` callers than there are may come to need. */
  #owed(more: number): number {
    const theirs = this.endpointConnections - this.copies;
    // Each caller may want a connection to an endpoint at any time, on the other threads too.
    return Math.max(this.#size + more - theirs, 0) * this.#limits.threads;
  }

  #scarce(descriptor: number): Scarce | '' {
    const { connections, bytes, descriptors } = this.#limits;
    this.#lastDescriptor = descriptor;
    if (this.#size >= connections) return 'connections';
    if (this.#bytes + CONNECTION_BYTES > bytes) return 'memory';
    return descriptor + this.#owed(1) + DESCRIPTORS_KEPT >= descriptors ? 'descriptors' : '';
  }

  #makeRoom(scarce: Scarce, address: string, service: string): boolean {
    const source = this.#sources.get(address);
    const had = source?.guests.size ?? 0;
    const share = this.#size / (this.#sources.size + (source === undefined ? 1 : 0));
    if (had + 1 <= share) {
      const [from, most] = largest(this.#sources);
      return most !== undefined && this.#evict(scarce, from, most.guests, most.guests.size - share);
    }
    const held = this.#services.get(service);
    const serviceShare = this.#size / (this.#services.size + (held === undefined ? 1 : 0));
    if (source === undefined || (held?.guests.size ?? 0) + 1 > serviceShare) return false;
    // The source has its share, the Service has not: what the source has elsewhere makes room.
    const elsewhere = [...source.guests].filter((guest) => guest.service !== service);
    return this.#evict(scarce, address, elsewhere, 1);
  }

  /** Closes some of these, at least one; false when there is none. */
  #evict(scarce: Scarce, source: string, guests: Iterable<Guest>, spare: number): boolean {
    const count = Math.max(1, Math.floor(Math.min(this.#size / BATCH_PART, spare)));
    const found: Guest[][] = STANDINGS.map(() => []);
    let connections = 0;
    for (const guest of guests) {
      const same = found[guest.standing];
      if (same !== undefined && same.length < count) same.push(guest);
      connections++;
    }
    const waiting = [...(found[PARTIAL_HEAD] ?? []), ...(found[IDLE] ?? [])].slice(0, count);
    // Without those one is cut that does something.
    const victims =
      waiting.length > 0
        ? waiting
        : [...(found[LEAVING] ?? []), ...(found[BUSY] ?? [])].slice(0, 1);
    for (const guest of victims) this.#shed(scarce, guest);
    if (victims.length > 0) this.onEvent?.({ scarce, source, connections, closed: victims.length });
    return victims.length > 0;
  }

  /** Every source with more than its share of the bytes gives up what is over it, until there is room again. */
  #shedBytes(): void {
    const share = this.#limits.bytes / this.#sources.size;
    const over = [...this.#sources].filter(([, { bytes }]) => bytes > share);
    over.sort(([, a], [, b]) => b.bytes - a.bytes);
    let excess = this.#bytes - this.#limits.bytes;
    for (const [source, holder] of over) {
      if (excess <= 0) return;
      const freed = this.#shedFrom(source, holder, Math.min(excess, holder.bytes - share));
      excess -= freed;
    }
  }

  #shedFrom(source: string, holder: Holder, wanted: number): number {
    const order = [...holder.guests]
      .map((guest) => ({ guest, standing: guest.standing, bytes: guest.heldBytes }))
      .filter(({ standing, bytes }) => standing !== BUSY || bytes > 0)
      // Those that do something go by what they hold.
      .sort((a, b) => a.standing - b.standing || (a.standing === BUSY ? b.bytes - a.bytes : 0));
    let freed = 0;
    let closed = 0;
    for (const { guest, bytes } of order) {
      if (freed >= wanted) break;
      freed += CONNECTION_BYTES + bytes;
      closed++;
      this.#bytes -= bytes;
      this.#shed('memory', guest);
    }
    const connections = holder.guests.size + closed;
    if (closed > 0) this.onEvent?.({ scarce: 'memory', source, connections, closed });
    return freed;
  }

  #shed(scarce: Scarce, guest: Guest): void {
    this.#count(scarce, guest.standing);
    // Its place is free at once, though its socket closes a little later.
    this.leave(guest);
    guest.shed();
  }

  #count(scarce: Scarce, column: number): void {
    const at = placeOf(scarce, column);
    this.shed[at] = (this.shed[at] ?? 0) + 1;
  }
}

/** Never less than one: a node that has room for anybody serves UDP, too. */
function sessionsMax({ connections, bytes, descriptors, threads, ports }: RoomLimits): number {
  const all = Math.min(
    connections,
    bytes / CONNECTION_BYTES,
    (descriptors - DESCRIPTORS_KEPT) / threads,
  );
  return Math.max(
    Math.floor(Math.min(all * SESSIONS_PART, (ports / threads) * SESSION_PORTS_PART)),
    1,
  );
}

function placeOf(scarce: Scarce, column: number): number {
  return SCARCE.indexOf(scarce) * STANDINGS.length + column;
}

function holderOf(holders: Map<string, Holder>, key: string): Holder {
  let holder = holders.get(key);
  if (holder === undefined) holders.set(key, (holder = new Holder()));
  return holder;
}

function leaveHolder(holders: Map<string, Holder>, key: string, stand: Stand<Guest>): void {
  stand.leave();
  if (holders.get(key)?.guests.size === 0) holders.delete(key);
}

function largest(holders: ReadonlyMap<string, Holder>): [string, Holder | undefined] {
  let name = '';
  let most: Holder | undefined;
  for (const [key, holder] of holders) {
    if (most !== undefined && holder.guests.size <= most.guests.size) continue;
    name = key;
    most = holder;
  }
  return [name, most];
}
