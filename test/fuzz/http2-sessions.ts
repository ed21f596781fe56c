/**
 * Fuzz target of whole sessions of HTTP/2: callers and endpoints that say frames in any order, cut anywhere, on sockets that stall and
 * break, while time passes. Whatever they do: nothing throws, what arrives is what was sent, and in the end nothing is left.
 */

import { ManualClock } from '../../src/base/clock.ts';
import { Guard } from '../../src/base/guard.ts';
import { silentLog } from '../../src/base/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import { FAILURE_REASONS } from '../../src/model/failure.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../src/model/settings.ts';
import { ThreadContext } from '../../src/proxy/http/context.ts';
import { Source } from '../../src/proxy/http/source.ts';
import { CallerSession } from '../../src/proxy/http2/caller.ts';
import { RequestPool } from '../../src/proxy/http2/caller-stream.ts';
import { Http2Connector } from '../../src/proxy/http2/connector.ts';
import { Http2Shared } from '../../src/proxy/http2/shared.ts';
import { LedgerView } from '../../src/proxy/ledger/cells.ts';
import { SERVICE_OWN, SERVICE_WORD, SLOT_KINDS } from '../../src/proxy/ledger/layout.ts';
import { Ledger } from '../../src/proxy/ledger/ledger.ts';
import { Placement } from '../../src/proxy/ledger/placement.ts';
import { DEADLINE_TICK_MS } from '../../src/proxy/net/deadline-wheel.ts';
import type { Caller } from '../../src/proxy/net/listener.ts';
import { add } from '../../src/proxy/call/account.ts';
import { Governor } from '../../src/proxy/policy/governor.ts';
import { type PortState, Table } from '../../src/proxy/table/table.ts';
import { frame, number32 } from '../support/http2-peer.ts';
import { exampleEndpoint, exampleService } from '../support/model.ts';
import { CallerPeer, EndpointPeer, Requests } from './http2-calls.ts';
import type { ScriptedPeer } from './http2-peers.ts';
import { ScriptedNet, ScriptedSocket } from './scripted-net.ts';
import { type FuzzTarget, invariant } from './target.ts';

const SIZES = [0, 1, 100, 4_095, 4_096, 16_384, 60_000, 200_000];
const CUTS = [1, 8, 9, 10, 100, 5_000, Infinity, Infinity];
const TIMES_MS = [0, 20, 100, 1_000, 1_100, 5_000, 11_000, 200_000];
const CODES = [0, 1, 2, 7, 8];
const CALLERS = 3;
const CONNECTIONS_MAX = 2;
/** Throws what it catches, at the end of the step that it belongs to. */
class TellingGuard extends Guard {
  readonly all: unknown[] = [];
  override caught(_part: unknown, error: unknown): void {
    this.all.push(error);
  }
}

class World {
  readonly clock = new ManualClock();
  readonly guard = new TellingGuard(this.clock, silentLog);
  readonly net = new ScriptedNet();
  readonly context: ThreadContext;
  readonly ledger = new Ledger(1);
  readonly #port: PortState;
  readonly #shared: Http2Shared;
  readonly #pool: RequestPool;
  readonly #slot: number;
  #callers: CallerPeer[] = [];
  #endpoints: EndpointPeer[] = [];
  #requests = new Requests();
  /** An endpoint has broken a rule, or could not be told that it has. */
  #isBroken = false;

  constructor() {
    const { clock, guard } = this;
    const random = seededRandom(1);
    let shared: Http2Shared | undefined;
    this.context = new ThreadContext({
      clock,
      random,
      guard,
      settings: DEFAULT_PROXY_SETTINGS,
      isTrusted: () => false,
      sockets: this.net,
      protocols: (context) => {
        shared = new Http2Shared(context);
        return { connector: new Http2Connector(shared), later: null };
      },
    });
    this.#shared = shared!;
    this.#pool = new RequestPool(this.#shared);
    const endpoints = ['127.0.0.2', '127.0.0.3'].map((address) => exampleEndpoint(address));
    const retry = {
      ...DEFAULT_RETRY,
      on: ['connect-failure', 'reset', 'status', 'unavailable'] as const,
      // Half of the retries come at once.
      backoffMs: 2,
      budgetMinPerSecond: 1_000_000,
    };
    // Connections are few, full and old now and then.
    const limits = {
      ...DEFAULT_POLICIES.limits,
      connectionsPerEndpoint: CONNECTIONS_MAX,
      idleConnectionsPerEndpoint: 1,
      connectionAgeMs: 10_000,
    };
    const service = exampleService('shop/web', { endpoints, policies: { retry, limits } });
    const ports = service.ports.map((port) => ({
      ...port,
      backend: { ...port.backend, protocol: 'http/2' as const },
    }));
    const placed = new Placement(this.ledger, clock).place({
      version: 1,
      services: [{ ...service, ports }],
      removedServices: [],
      identities: [],
      removedIdentities: [],
    });
    new Governor(this.ledger, clock).setService(service);
    const view = new LedgerView();
    for (const kind of SLOT_KINDS)
      for (let i = 0; i < this.ledger.chunkCount(kind); i++)
        view.add(this.ledger.chunk(kind, i, 0));
    this.#port = new Table(view, clock, random).apply(placed.services, []).opened[0] as PortState;
    this.#slot = this.ledger.find('service', 'shop/web') as number;
  }

  #newCaller(): CallerPeer {
    const { context } = this;
    const host = {
      isLeaving: false,
      closed: (caller: Caller) => context.room.leave(caller),
      replaced: () => undefined,
    };
    const called = {
      source: new Source({ remoteAddress: '127.0.0.1' }, context),
      port: this.#port,
    };
    const parts = { shared: this.#shared, requests: this.#pool };
    const nobody = { onClose: () => undefined } as unknown as Caller & ScriptedSocket;
    const socket = new ScriptedSocket(nobody as never, false);
    const session = new CallerSession(socket, called, parts, host);
    socket.handOver(session);
    add(this.#port.service.cells, SERVICE_OWN.callerConnectionsActive, 1);
    context.room.enter(session);
    return new CallerPeer(socket, session, this.#requests);
  }

  run(input: Buffer): void {
    this.#requests = new Requests();
    this.#endpoints = [];
    this.#isBroken = false;
    const bad = this.#badResponses;
    this.#callers = Array.from({ length: CALLERS }, () => this.#newCaller());
    for (let at = 0; at + 2 < input.length; at += 3) {
      this.#step(input[at]! % 32, input[at + 1]!, input[at + 2]!);
      this.#check();
    }
    this.#finish();
    this.#end();
    const isBroken = this.#isBroken || this.#endpoints.some(({ isLost }) => isLost);
    invariant(isBroken || this.#badResponses === bad, 'a bad response that nobody sent');
  }

  get #badResponses(): number {
    const cell = SERVICE_OWN.failures + FAILURE_REASONS.indexOf('bad_response');
    return this.ledger.sum('service', this.#slot, cell);
  }

  // oxlint-disable-next-line complexity -- a table of all that may happen
  #step(what: number, which: number, value: number): void {
    const caller = this.#callers[which % CALLERS]!;
    const endpoint = this.#endpoints[(which >> 2) % Math.max(1, this.#endpoints.length)];
    const peer = what % 2 === 0 || endpoint === undefined ? caller : endpoint;
    const theirs = [...peer.streams.values()];
    const stream = theirs[(which >> 4) % Math.max(1, theirs.length)];
    const open = peer.sendable[(which >> 4) % Math.max(1, peer.sendable.length)];
    switch (what) {
      case 0:
      case 1:
      case 2:
      case 3:
        if (!caller.isLeaving && caller.session.streams.size < 100) caller.begin(value);
        break;
      case 4:
      case 5:
      case 6:
      case 7:
      case 8:
        if (peer instanceof CallerPeer && open !== undefined)
          peer.more(open, SIZES[value & 7]!, (value & 24) === 24);
        if (peer instanceof EndpointPeer && open !== undefined)
          peer.more(open, SIZES[value & 7]!, (value & 24) === 24, value >> 5);
        break;
      case 10:
      case 11:
      case 13:
      case 15:
        if (endpoint !== undefined) {
          const waiting = endpoint.sendable.filter(({ hasHead }) => !hasHead);
          const next = waiting[(which >> 4) % Math.max(1, waiting.length)];
          const status = value < 200 ? '200' : value < 230 ? '503' : '103';
          if (next !== undefined) endpoint.answer(next, status, (value & 3) === 0, value >> 2);
        }
        break;
      case 9:
      case 12:
      case 17:
        if (stream !== undefined && !stream.isReset && !(stream.sentEnd && stream.gotEnd))
          peer.reset(stream, CODES[value % CODES.length]!);
        break;
      case 14:
      case 19:
        if (stream !== undefined) peer.grant(stream, 1 + value * 300);
        break;
      case 16:
      case 21:
        peer.grant(null, 1 + value * 1_000);
        break;
      case 18:
      case 23:
        peer.grantAtFirst(value);
        break;
      case 20:
      case 25:
        this.#rare(peer, value, which);
        break;
      case 22:
      case 27:
        if (peer instanceof EndpointPeer) this.#isBroken = true;
        peer.socket.window = value < 128 ? value * 100 : Infinity;
        break;
      case 24:
        this.#advance(TIMES_MS[value & 7]!);
        break;
      case 26:
      case 29:
        peer.deliver(CUTS[value & 7]);
        peer.socket.tell();
        if (value > 100) this.net.turn();
        break;
      case 28:
      case 31:
        this.#exchange(this.#callers);
        break;
      default:
        this.#exchange();
    }
  }

  /** What ends more than a stream. */
  #rare(peer: ScriptedPeer, value: number, which: number): void {
    const kind = value % 16;
    if ((kind < 2 || (kind >= 5 && kind <= 7)) && peer instanceof EndpointPeer)
      this.#isBroken = true;
    // Content that belongs nowhere goes where no request is.
    const type = which & 15;
    const id = type === 0 ? 2 * (which >> 4) : 2 * (which >> 4) + 1;
    if (kind === 0) peer.socket.finish();
    else if (kind === 1) peer.socket.fail('ECONNRESET');
    else if (kind === 2 && peer instanceof EndpointPeer) {
      const last = (which >> 2) * 2 + 1;
      peer.write(frame(7, 0, 0, Buffer.concat([number32(last), number32(0)])));
      for (const stream of peer.streams.values()) if (stream.id > last) stream.isReset = true;
    } else if (kind === 3 && peer instanceof CallerPeer) {
      peer.isLeaving = true;
      peer.write(frame(7, 0, 0, Buffer.alloc(8)));
    } else if (kind === 4 && peer instanceof CallerPeer) peer.session.drain();
    else if (kind === 5) peer.write(frame(type, value, id, Buffer.alloc(which % 12)));
    else if (kind === 6) peer.write(frame(type, 0, id, number32(type === 8 ? 0 : value)));
    else if (kind === 7) peer.write(frame(4, 0, 0, Buffer.from([0, 1, 0, 0, which, value])));
    else if (kind === 8) peer.write(frame(6, 0, 0, Buffer.alloc(8)));
    else if (kind === 9) for (let i = 0; i < 20; i++) peer.write(frame(2, 0, 1, Buffer.alloc(5)));
    else if (kind === 10 && peer instanceof CallerPeer) peer.session.shed();
  }

  /** Everything that is on its way arrives. */
  #exchange(peers: readonly ScriptedPeer[] = [...this.#callers, ...this.#endpoints]): void {
    for (const peer of peers) {
      peer.deliver();
      if (peer.socket.connecting) peer.socket.connect();
      peer.socket.tell();
    }
    this.net.turn();
  }

  #advance(ms: number): void {
    for (let left = ms; left > 0; left -= DEADLINE_TICK_MS) {
      this.clock.advance(Math.min(left, DEADLINE_TICK_MS));
      this.context.wheel.advance();
    }
    this.net.turn();
  }

  #check(): void {
    for (const socket of this.net.dialled.splice(0))
      this.#endpoints.push(new EndpointPeer(socket, this.#requests));
    for (const peer of [...this.#callers, ...this.#endpoints]) peer.read();
    if (this.guard.all.length > 0) throw this.guard.all.splice(0)[0];
  }

  /** Everybody does what is left to do: then no request of a caller that is still there may be left. */
  #finish(): void {
    for (let round = 0; round < 60; round++) {
      for (const peer of [...this.#callers, ...this.#endpoints]) {
        peer.socket.window = Infinity;
        if (round === 0) peer.grant(null, 50_000_000);
        for (const stream of peer.streams.values())
          if (stream.granted < 1_000_000) peer.grant(stream, 10_000_000);
        for (const stream of peer.sendable) {
          if (peer instanceof CallerPeer) peer.more(stream, 0, true);
          if (peer instanceof EndpointPeer) peer.answer(stream, '200', true);
        }
      }
      this.#exchange();
      this.#check();
      if (this.#callers.every(({ session }) => session.streams.size === 0)) break;
      if (round > 20) this.#advance(1_000);
    }
    for (const { session } of this.#callers)
      invariant(session.streams.size === 0, 'a request that never ends');
  }

  #end(): void {
    for (const { socket } of [...this.#callers, ...this.#endpoints]) socket.fail('ECONNRESET');
    for (let i = 0; i < 3; i++) {
      this.#exchange();
      this.#check();
    }
    const { room } = this.context;
    invariant(this.ledger.word('service', this.#slot, SERVICE_WORD.inFlight) === 0, 'in flight');
    const active = this.ledger.sum('service', this.#slot, SERVICE_OWN.callerConnectionsActive);
    invariant(active === 0 && room.size === 0 && room.bytes === 0, 'callers that are gone');
    invariant(room.endpointConnections === 0, 'connections to endpoints');
    invariant(this.context.wheel.size === 0, 'deadlines of nobody');
  }
}

function steps(seed: number): Buffer {
  const random = seededRandom(seed);
  return Buffer.from(Array.from({ length: 300 }, () => Math.floor(random.next() * 256)));
}

let world: World | null = null;

export const SESSIONS_TARGET: FuzzTarget = {
  name: 'http2-sessions',
  seeds: Array.from({ length: 16 }, (_, i) => steps(i)),
  dictionary: [
    '\x00\x00\x01',
    '\x1f\x00\x00',
    '\x0a\x00\x00',
    '\x0a\x00\x01',
    '\x1a\x00\x02',
    '\x0c\x00\x04',
  ],
  run(input) {
    world ??= new World();
    try {
      world.run(input);
    } catch (error) {
      // What is left would fail the next one.
      world = null;
      throw error;
    }
  },
};
