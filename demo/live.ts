/** The live demo: samples the mesh, keeps the board, obeys keys. Draws nothing itself. */

import type { Clock, Timer } from '../src/base/clock.ts';
import { BoardKeeper, type BoardEvent } from './board.ts';
import { errorsOf } from './check/assess.ts';
import type { Demo } from './demo.ts';
import type { Mode } from './shop/replica.ts';
import type { CallerTotals } from './view/lines.ts';
import type { Command, Scene, SceneSource } from './view/view.ts';

/** A person must see the mesh react within a second: five looks in it. */
const SAMPLE_MS = 200;

const NEXT_MODE: Readonly<Record<Mode, Mode>> = {
  well: 'refuse',
  refuse: 'fail',
  fail: 'hang',
  hang: 'slow',
  slow: 'refuse',
};

const SAYS: Readonly<Record<Mode, string>> = {
  well: 'is well again',
  refuse: 'refuses connections now',
  fail: 'answers 503 now',
  hang: 'takes requests and never answers now',
  slow: 'is slow now',
};

export class Live implements SceneSource {
  /** Settles when the person wants to leave. */
  readonly quit: Promise<void>;
  readonly startMs: number;
  readonly #demo: Demo;
  readonly #clock: Clock;
  readonly #keeper = new BoardKeeper();
  readonly #pods: readonly string[];
  readonly #listeners = new Set<() => void>();
  #leave: () => void = () => {};
  #selected: string;
  #callers: CallerTotals = { sent: 0, lost: 0 };
  #scene: Scene;
  #timer: Timer | undefined;
  #isSampling = false;

  constructor(demo: Demo, clock: Clock) {
    this.#demo = demo;
    this.#clock = clock;
    this.startMs = clock.nowMs();
    this.#pods = demo.manifests.services.flatMap((service) => service.pods.map((pod) => pod.name));
    this.#selected = this.#pods.find((pod) => pod === 'web-1') ?? this.#pods[0] ?? '';
    this.quit = new Promise((resolve) => {
      this.#leave = resolve;
    });
    this.#scene = this.#compose();
  }

  start(): void {
    this.#timer = this.#clock.every(SAMPLE_MS, () => void this.#sample());
  }

  end(): void {
    this.#timer?.cancel();
    this.#listeners.clear();
  }

  current(): Scene {
    return this.#scene;
  }

  subscribe(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  obey(command: Command): void {
    switch (command) {
      case 'quit':
        this.#leave();
        return;
      case 'previous':
        this.#select(-1);
        return;
      case 'next':
        this.#select(1);
        return;
      case 'break':
        void this.#become(NEXT_MODE[this.#keeper.modeOf(this.#selected)]);
        return;
      case 'heal':
        void this.#become('well');
        return;
    }
  }

  #select(step: number): void {
    const count = this.#pods.length;
    const index = this.#pods.indexOf(this.#selected) + step + count;
    this.#selected = this.#pods[index % count] ?? '';
    this.#publish();
  }

  async #become(mode: Mode): Promise<void> {
    const pod = this.#selected;
    if (mode === 'well' && this.#keeper.modeOf(pod) === 'well') return;
    this.#keeper.setMode(pod, mode);
    try {
      await this.#demo.shop.setMode(pod, mode);
      this.#log({ atMs: this.#clock.nowMs(), text: `you: ${pod} ${SAYS[mode]}`, tone: 'plain' });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log({
        atMs: this.#clock.nowMs(),
        text: `cannot change ${pod}: ${reason}`,
        tone: 'bad',
      });
    }
  }

  #log(event: BoardEvent): void {
    this.#keeper.log(event);
    this.#publish();
  }

  async #sample(): Promise<void> {
    if (this.#isSampling) return;
    this.#isSampling = true;
    try {
      const [sample, outcomes] = await Promise.all([
        this.#demo.sample(),
        this.#demo.traffic.outcomes(),
      ]);
      const all = Object.values(outcomes);
      this.#callers = {
        sent: all.reduce((sum, outcome) => sum + outcome.sent, 0),
        lost: all.reduce((sum, outcome) => sum + errorsOf(outcome), 0),
      };
      this.#keeper.add(sample);
      this.#publish();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log({
        atMs: this.#clock.nowMs(),
        text: `cannot read the mesh: ${reason}`,
        tone: 'bad',
      });
    } finally {
      this.#isSampling = false;
    }
  }

  #publish(): void {
    this.#scene = this.#compose();
    for (const changed of this.#listeners) changed();
  }

  #compose(): Scene {
    return {
      board: this.#keeper.board(),
      callers: this.#callers,
      elapsedMs: this.#clock.nowMs() - this.startMs,
      selected: this.#selected,
      hint: this.#demo.hint,
      startMs: this.startMs,
    };
  }
}
