/** Manifests on disk as a stream of deltas: folder → store → compiler. */

import type { Clock } from '../base/clock.ts';
import { Compiler, type CompileOptions } from '../compile/compiler.ts';
import { FolderSource } from '../kube/folder.ts';
import { Store } from '../kube/store.ts';
import type { Delta, Problem, Snapshot } from '../model/service.ts';

export interface ManifestsOptions extends CompileOptions {
  readonly paths: readonly string[];
  readonly clock: Clock;
  readonly onNotice: (text: string) => void;
  readonly onDelta: (delta: Delta) => void;
  /** Problems may have changed: of files, or of what they say. */
  readonly onProblems: () => void;
}

export class Manifests {
  readonly #options: ManifestsOptions;
  readonly #compiler: Compiler;
  readonly #folder: FolderSource;
  readonly #store = new Store();
  #fileProblems: readonly Problem[] = [];
  #started = false;

  constructor(options: ManifestsOptions) {
    this.#options = options;
    this.#compiler = new Compiler(this.#store, options);
    this.#folder = new FolderSource({
      paths: options.paths,
      store: this.#store,
      clock: options.clock,
      onNotice: options.onNotice,
      onProblems: (problems) => {
        this.#fileProblems = problems;
        options.onProblems();
      },
    });
  }

  /** Resolves once everything was read and the first delta was handed on. Throws when a path cannot be read. */
  async start(): Promise<void> {
    let first = true;
    this.#store.subscribe((changed) => {
      first = false;
      this.#compile(changed);
    });
    this.#started = true;
    await this.#folder.start();
    // Manifests without any known object are a configuration too: the empty one.
    if (first) this.#compile([]);
  }

  /** Reads everything again; before the start there is nothing to read again. */
  async reload(): Promise<void> {
    if (this.#started) await this.#folder.reload();
  }

  stop(): Promise<void> {
    return this.#folder.stop();
  }

  snapshot(): Snapshot {
    return this.#compiler.snapshot();
  }

  problems(): readonly Problem[] {
    return [...this.#fileProblems, ...this.#compiler.problems()];
  }

  #compile(changed: Parameters<Compiler['update']>[0]): void {
    const delta = this.#compiler.update(changed);
    if (delta !== null) this.#options.onDelta(delta);
    this.#options.onProblems();
  }
}
