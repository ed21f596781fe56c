/**
 * The event loop of a thread that calls the kernel itself: one epoll set for its sockets and, in the same set, the runtime's
 * own event loop. It waits in the kernel with everything else, and goes back to the runtime when that has something to
 * do: messages, timers, files. Both have their turn, however much there is for one.
 */

import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Turn } from '../socket.ts';
import { EINTR } from './errno.ts';
import { EPOLL_ADD, EPOLL_DEL, EPOLL_MOD, EPOLLIN, type Kernel } from './kernel-interface.ts';

/** Somebody who waits for events of a descriptor. */
export interface Watcher extends Turn {
  readonly descriptor: number;
  /** Owned by the loop: tells the events of this one from those of an earlier one with the same descriptor. */
  generation: number;
  /** `mask` is EPOLL*. */
  onEvents(mask: number): void;
}

/** Looks at the kernel between two visits of the runtime: its timers are late by what these take at most. */
const ROUNDS_MAX = 8;
/** Events and turns between two visits. */
const WORK_MAX = 512;
/** A wait without a plan ends then, should anything of the runtime go unseen. */
const WAIT_MS_MAX = 250;

/** Who calls the next turn. */
export interface Planner {
  plan(turn: () => void): { ref(): unknown; unref(): unknown };
  cancel(planned: ReturnType<Planner['plan']>): void;
  /** Whether turns follow each other from now on. */
  hold(isHeld: boolean): void;
}

/** The event loop of the runtime. */
class Immediates implements Planner {
  /** While this one is held, the runtime believes that it has something to wait for, and tells when. */
  readonly #anchor: MessagePort = new MessageChannel().port1;

  plan(turn: () => void): NodeJS.Immediate {
    return setImmediate(turn);
  }

  cancel(planned: NodeJS.Immediate): void {
    clearImmediate(planned);
  }

  hold(isHeld: boolean): void {
    if (isHeld) this.#anchor.ref();
    else this.#anchor.unref();
  }
}

export class EventLoop {
  readonly kernel: Kernel;
  /** At the kernel, so far. */
  looks = 0;
  readonly #planner: Planner;
  readonly #epoll: number;
  readonly #watchers: (Watcher | undefined)[] = [];
  #watched = 0;
  #generation = 0;
  /** Those with something to do as soon as nobody is being called. */
  #later: Turn[] = [];
  #spare: Turn[] = [];
  #running = false;
  /** Events and turns since the last visit of the runtime, and what they said they were worth. */
  #work = 0;
  /** The last look found an event of the runtime. */
  #isRuntimesTurn = false;
  /** As of the last time that this thread could have waited. */
  #backendEvents = -1;
  /** The last look found nothing. */
  #idle = false;
  readonly #turn = (): void => this.#run();

  /** @throws when the kernel refuses */
  constructor(kernel: Kernel, planner: Planner = new Immediates()) {
    this.kernel = kernel;
    this.#planner = planner;
    this.#epoll = must(kernel.createEpoll());
    must(kernel.control(this.#epoll, EPOLL_ADD, kernel.backend, EPOLLIN, 0));
  }

  /** Descriptors that are watched. */
  get size(): number {
    return this.#watched;
  }

  /** Watchers that have asked for a turn. */
  get waiting(): number {
    return this.#later.length;
  }

  /** The last look found nothing, and nobody waits for a turn. */
  get isQuiet(): boolean {
    return this.#later.length === 0 && (this.#idle || this.#watched === 0);
  }

  /** Negative when the kernel refuses. */
  watch(watcher: Watcher, events: number): number {
    const { descriptor } = watcher;
    // Never 0, which is the runtime's.
    this.#generation = (this.#generation % 0x7fffffff) + 1;
    watcher.generation = this.#generation;
    const result = this.kernel.control(
      this.#epoll,
      EPOLL_ADD,
      descriptor,
      events,
      watcher.generation,
    );
    if (result < 0) return result;
    this.#watchers[descriptor] = watcher;
    this.#watched++;
    this.#start();
    return 0;
  }

  /** Waits for other events of the same descriptor. */
  rewatch(watcher: Watcher, events: number): number {
    const { descriptor, generation } = watcher;
    return this.kernel.control(this.#epoll, EPOLL_MOD, descriptor, events, generation);
  }

  /** No event reaches it any more. Call it before the descriptor is closed, which is what makes the kernel forget it. */
  forget(watcher: Watcher): void {
    if (this.#watchers[watcher.descriptor] !== watcher) return;
    this.#watchers[watcher.descriptor] = undefined;
    this.#watched--;
  }

  /** As `forget`, of a descriptor that stays open. */
  release(watcher: Watcher): void {
    this.forget(watcher);
    this.kernel.control(this.#epoll, EPOLL_DEL, watcher.descriptor, 0, 0);
  }

  /** Calls `onTurn` when what runs now is over. */
  later(task: Turn): void {
    this.#later.push(task);
    this.#start();
  }

  /** An event was as much work as so many more. */
  spend(events: number): void {
    this.#work += events;
  }

  #start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#idle = false;
    this.#planner.hold(true);
    this.#planner.plan(this.#turn);
  }

  #run(): void {
    const next = this.#planner.plan(this.#turn);
    this.#work = this.#runLater();
    const isFresh = this.#work > 0;
    if (this.#watched === 0 && this.#later.length === 0) {
      this.#planner.cancel(next);
      this.#running = false;
      this.#planner.hold(false);
      return;
    }
    // Promises of what has just run are waited for as well.
    let count = isFresh ? this.#look(0) : this.#wait(next);
    for (let round = 1; ; round++) {
      if (count > 0) this.#dispatch(count);
      this.#work += count + this.#runLater();
      this.#idle = count === 0;
      if (count === 0 || this.#isRuntimesTurn || round >= ROUNDS_MAX) break;
      if (this.#work >= WORK_MAX) break;
      count = this.#look(0);
    }
    this.#isRuntimesTurn = false;
  }

  /**
   * Waits until something happens, unless there is something to do.
   *
   * This runs as the first of the runtime's immediates, since it is planned before all others. Between it and the last
   * look of the runtime at the kernel lie only the events that this look found, and what their handlers begin to wait for
   * becomes known to the kernel with the next look. So after a look that found something there must be another one.
   */
  #wait(next: ReturnType<Planner['plan']>): number {
    if (!this.#idle || this.#later.length > 0) return this.#look(0);
    const events = this.kernel.backendEvents();
    if (events !== this.#backendEvents) {
      this.#backendEvents = events;
      return this.#look(0);
    }
    // Without a planned immediate, the runtime tells when its next timer is due.
    next.unref();
    const timeoutMs = this.kernel.backendTimeout();
    next.ref();
    return this.#look(timeoutMs < 0 || timeoutMs > WAIT_MS_MAX ? WAIT_MS_MAX : timeoutMs);
  }

  #look(timeoutMs: number): number {
    this.looks++;
    const count = this.kernel.wait(this.#epoll, timeoutMs);
    if (count >= 0) return count;
    // A signal came; whoever sent it is told by the runtime.
    if (count === -EINTR) return 0;
    return must(count);
  }

  #dispatch(count: number): void {
    const { kernel } = this;
    for (let i = 0; i < count; i++) {
      const descriptor = kernel.eventDescriptor(i);
      const generation = kernel.eventGeneration(i);
      if (generation === 0) {
        this.#isRuntimesTurn = true;
        continue;
      }
      const watcher = this.#watchers[descriptor];
      // Closed by an earlier event of this look, and the descriptor perhaps opened anew.
      if (watcher === undefined || watcher.generation !== generation) continue;
      watcher.onEvents(kernel.eventMask(i));
    }
  }

  /** How many had their turn. What is asked for meanwhile has its turn next time: two that call each other never keep the others waiting. */
  #runLater(): number {
    const due = this.#later;
    const count = due.length;
    if (count === 0) return 0;
    this.#later = this.#spare;
    this.#spare = due;
    for (const task of due) task.onTurn();
    due.length = 0;
    return count;
  }
}

function must(result: number): number {
  if (result < 0) throw new Error(`the event loop of the thread failed with error ${-result}`);
  return result;
}
