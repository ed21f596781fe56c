/**
 * Copies of requests for the mirrors of their routes, on one thread. A copy is sent in one go when the request is whole, behind it
 * on its way to its own endpoint: nothing is kept for it but what its connection has not taken, and nobody waits for it. What would
 * be too much is not sent, and counted.
 */

import type { Clock } from '../../base/clock.ts';
import type { Guard } from '../../base/guard.ts';
import type { Random } from '../../base/random.ts';
import type { HeadEdit, RequestFilter } from '../head/filter.ts';
import type { Head } from '../head/head.ts';
import type { PathView } from '../head/path-view.ts';
import { MIRROR_RESULTS, type MirrorResult, SERVICE_OWN } from '../ledger/layout.ts';
import type { CallerRoom } from '../net/caller-room.ts';
import type { DeadlineWheel } from '../net/deadline-wheel.ts';
import { breakerAdmits } from '../policy/breaker.ts';
import type { MirrorState, ServiceState } from '../table/table.ts';
import { add } from '../call/account.ts';
import { Mirror, type MirrorOwner } from './mirror.ts';
import { PickFacts } from '../call/pick-facts.ts';
import { readKeys } from './request-key.ts';
import type { CopyTaker, Replay } from './replay.ts';
import type { CallerStream, Connector } from './stream.ts';

/** Copies on their way, on one thread … */
const MIRRORS_MAX = 1_024;
/** … and of the requests of one Service. */
const SERVICE_MIRRORS_MAX = 256;
/** Memory of copies that endpoints have not taken. */
const MIRROR_BYTES_MAX = 8_388_608;

/** What of the thread it needs. */
export interface MirrorThread {
  readonly clock: Clock;
  readonly random: Random;
  readonly guard: Guard;
  readonly wheel: DeadlineWheel;
  readonly room: CallerRoom;
  readonly connector: Connector;
  readonly settings: { readonly node: string };
  readonly path: PathView;
  readonly edit: HeadEdit;
  pinnedBy(bytes: number): number;
}

/** Affinity belongs to the backends of the route. */
const NO_AFFINITY = { affinity: null };

export class Mirrors implements MirrorOwner {
  /** Memory of all copies that endpoints have not taken. */
  heldBytes = 0;
  readonly #thread: MirrorThread;
  readonly #pick: PickFacts;
  readonly #running = new Set<Mirror>();

  constructor(thread: MirrorThread) {
    this.#thread = thread;
    this.#pick = new PickFacts(thread.settings.node);
  }

  /** Copies on their way. */
  get inFlight(): number {
    return this.#running.size;
  }

  /** Chance decides for each mirror; null when none of them gets this request. */
  draw(mirrors: readonly MirrorState[], head: Head, caller: CallerStream): CopyTaker | null {
    const { random, path } = this.#thread;
    const { matched } = path;
    // Of a tunnel there is nothing that could be copied.
    if (head.upgrade) return null;
    const drawn = mirrors.filter(({ share }) => share >= 1 || random.next() < share);
    return drawn.length === 0
      ? null
      : { take: (replay) => this.#take(drawn, caller, replay, matched) };
  }

  /** Ends all that are on their way. */
  cut(): void {
    for (const copy of this.#running) copy.giveUp('cut');
  }

  nowMs(): number {
    return this.#thread.clock.nowMs();
  }

  arm(copy: Mirror): void {
    this.#thread.wheel.arm(copy);
  }

  onMoved(copy: Mirror): void {
    const { stream } = copy;
    const held = stream === null ? 0 : this.#thread.pinnedBy(stream.waitingBytes);
    this.heldBytes += held - copy.heldBytes;
    copy.heldBytes = held;
  }

  onDefect(copy: Mirror, error: unknown): void {
    this.#thread.guard.caught('proxy', error, { service: copy.service.service.key });
    copy.giveUp('failed');
  }

  onEnded(copy: Mirror, result: MirrorResult): void {
    this.#thread.wheel.disarm(copy);
    this.onMoved(copy);
    this.#running.delete(copy);
    if (!copy.isShared) this.#thread.room.copies--;
    copy.service.copies--;
    count(copy.service, result);
  }

  /** Whatever goes wrong here costs the copy, and never the request. */
  // oxlint-disable-next-line max-params -- for each mirror, without an object
  #take(
    mirrors: readonly MirrorState[],
    caller: CallerStream,
    replay: Replay,
    matched: number,
  ): void {
    const { service } = caller.port;
    for (const mirror of mirrors) {
      try {
        // What the route matched of the path: other requests were matched since, maybe.
        this.#thread.path.matched = matched;
        const refusal = this.#copy(mirror, caller, replay);
        if (refusal !== '') count(service, refusal);
      } catch (error) {
        this.#thread.guard.caught('proxy', error, { service: service.service.key });
        count(service, 'failed');
      }
    }
  }

  /** Why it is not sent; '' when it is. */
  #copy({ target, filter }: MirrorState, caller: CallerStream, replay: Replay): MirrorResult | '' {
    const { room, connector } = this.#thread;
    const { service } = caller.port;
    const ruling = target === null ? null : target.service;
    if (target === null || ruling === null) return 'no_endpoint';
    const { policies } = ruling.service;
    const refusal = this.#refusal(service, ruling, replay);
    if (refusal !== '') return refusal;
    // Other heads were read since, maybe; and what is sent on at once needs no 100 before it.
    const head = replay.mark(caller.headAgain(replay.buffer, replay.headBytes));
    head.expectContinue = false;
    const pick = this.#pick;
    pick.reset(caller.source.identify());
    readKeys(pick, NO_AFFINITY, policies, replay.buffer, head, caller.source.addressHash);
    const endpoint = target.backend.pick(pick, this.nowMs());
    if (endpoint === null) return 'no_endpoint';
    if (!target.backend.mayCopyTo(endpoint)) return 'over_limit';
    const copy = new Mirror(this, service, policies);
    // There is no second try: a connection that may have gone stale is not used.
    copy.begin(connector.acquire(endpoint, copy, false), replay.buffer, head);
    if (!copy.isShared) room.copies++;
    service.copies++;
    this.#running.add(copy);
    this.#send(copy, caller, replay, { filter, head });
    return '';
  }

  /** Why a copy of `service` for an endpoint of `ruling` may not even be tried. */
  #refusal(service: ServiceState, ruling: ServiceState, replay: Replay): MirrorResult | '' {
    const { room, random } = this.#thread;
    const { breaker, limits } = ruling.service.policies;
    const { requestBodyBytes } = limits;
    const isTooLong = requestBodyBytes > 0 && replay.bodyBytes > requestBodyBytes;
    if (!replay.isWhole || isTooLong) return 'too_large';
    const isFull = this.inFlight >= MIRRORS_MAX || service.copies >= SERVICE_MIRRORS_MAX;
    const bytes = this.heldBytes + this.#thread.pinnedBy(replay.end);
    if (isFull || bytes > MIRROR_BYTES_MAX || !room.admitsCopy()) return 'over_limit';
    const isOpen = breaker !== null && breakerAdmits(ruling.cells, this.nowMs(), random) > 0;
    return isOpen ? 'breaker_open' : '';
  }

  #send(
    copy: Mirror,
    caller: CallerStream,
    replay: Replay,
    { filter, head }: { readonly filter: RequestFilter; readonly head: Head },
  ): void {
    const { stream } = copy;
    const { path, edit } = this.#thread;
    if (stream === null) return;
    try {
      const filtered = filter.apply(replay.buffer, head, path, edit);
      const edited = replay.web?.editRequest(replay.buffer, head, filtered, edit) ?? filtered;
      stream.sendHead(replay.buffer, head, caller, edited);
      replay.copyTo(stream);
      this.onMoved(copy);
    } catch (error) {
      copy.onDefect(error);
    }
  }
}

function count({ cells }: ServiceState, result: MirrorResult): void {
  add(cells, SERVICE_OWN.mirrored + MIRROR_RESULTS.indexOf(result), 1);
}
