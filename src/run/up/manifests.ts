/** Manifests on disk as a stream of deltas: folder → store → compiler. */

import type { Clock } from '../../base/clock.ts';
import { PodAddresses } from '../../compile/address/pod-addresses.ts';
import { Compiler, type CompileOptions } from '../../compile/compiler.ts';
import { FolderSource } from '../../kube/folder.ts';
import { Store } from '../../kube/store.ts';
import type { CredentialChange } from '../../model/credential.ts';
import type { Delta, Problem, Snapshot } from '../../model/service.ts';

export interface ManifestsOptions extends CompileOptions {
  readonly paths: readonly string[];
  /** Range for Pods without an address; null gives none. */
  readonly podCidr: string | null;
  readonly clock: Clock;
  readonly onNotice: (text: string) => void;
  readonly onDelta: (delta: Delta) => void;
  /** As `Agent.applyCredentials`. */
  readonly onCredentials: (change: CredentialChange) => void;
  /** Problems may have changed: of files, or of what they say. */
  readonly onProblems: () => void;
}

export class Manifests {
  readonly #options: ManifestsOptions;
  readonly #compiler: Compiler;
  readonly #folder: FolderSource;
  readonly #store = new Store();
  readonly #pods: PodAddresses;
  #fileProblems: readonly Problem[] = [];
  #started = false;

  constructor(options: ManifestsOptions) {
    this.#options = options;
    this.#compiler = new Compiler(this.#store, options);
    this.#pods = new PodAddresses(this.#store, options);
    this.#folder = new FolderSource({
      paths: options.paths,
      store: this.#pods,
      clock: options.clock,
      onNotice: options.onNotice,
      onProblems: (problems) => {
        this.#fileProblems = problems;
        options.onProblems();
      },
    });
  }

  /** Resolves once everything was read and the first delta was handed on. Throws when a path cannot be read, or has nothing to read. */
  async start(): Promise<void> {
    let first = true;
    this.#store.subscribe((changed) => {
      first = false;
      this.#compile(changed);
    });
    this.#started = true;
    await this.#folder.start();
    this.#folder.checkFound();
    // Manifests without a Service are a configuration too.
    if (first) this.#compile([]);
  }

  /** Reads everything again; before the start there is nothing to read again. */
  async reload(): Promise<void> {
    if (this.#started) await this.#folder.reload();
  }

  stop(): Promise<void> {
    return this.#folder.stop();
  }

  /** Pods that were given an address, and which. */
  givenPods(): ReturnType<PodAddresses['given']> {
    return this.#pods.given();
  }

  snapshot(): Snapshot {
    return this.#compiler.snapshot();
  }

  problems(): readonly Problem[] {
    const expiring = this.#compiler.certificateProblems(this.#options.clock.wallMs());
    return [...this.#fileProblems, ...this.#compiler.problems(), ...expiring];
  }

  #compile(changed: Parameters<Compiler['update']>[0]): void {
    const delta = this.#compiler.update(changed);
    const credentials = this.#compiler.takeCredentials();
    const { changed: came = [], removed = [] } = credentials ?? {};
    const { onCredentials, onDelta } = this.#options;
    if (came.length > 0) onCredentials({ changed: came, removed: [] });
    if (delta !== null) onDelta(delta);
    if (removed.length > 0) onCredentials({ changed: [], removed });
    this.#options.onProblems();
  }
}
