/** Leads what the watch of shadow Services sees to placer and controller, and tells `Progress` how far that is. */

import type { ObjectKey, Sink } from '../kube/api/reflector.ts';
import type { ShadowController } from './shadow-controller.ts';
import type { Placer } from './placer.ts';
import { isBefore } from './progress.ts';
import type { Progress } from './progress.ts';
import type { Damaged, Shadow } from './shadow.ts';

export interface ShadowFeedOptions {
  readonly placer: Pick<Placer, 'shadow' | 'listed' | 'flush'>;
  readonly controller: Pick<ShadowController, 'shadow' | 'compiled'>;
  readonly progress: Pick<Progress, 'observe'>;
  /** `flush()` has work: at once, or with what else comes in the next milliseconds. */
  readonly onChange: () => void;
}

/** The sink of a `Reflector` with `OF_MESH` over the mesh namespace that picks with `read`. */
export class ShadowFeed implements Sink<Shadow | Damaged> {
  readonly #options: ShadowFeedOptions;
  readonly #names = new Set<string>();
  #newest = '0';

  constructor(options: ShadowFeedOptions) {
    this.#options = options;
  }

  replace(objects: readonly (Shadow | Damaged)[]): void {
    const names = new Set(objects.map(({ name }) => name));
    for (const name of this.#names) if (!names.has(name)) this.#tell(name, null);
    for (const object of objects) this.#tell(object.name, object);
    this.#options.placer.listed();
    // A leader that waited for this can begin.
    this.#options.controller.compiled([]);
    this.#options.onChange();
  }

  set(object: Shadow | Damaged): void {
    this.#tell(object.name, object);
    this.#options.onChange();
  }

  delete({ name }: ObjectKey): void {
    this.#tell(name, null);
    this.#options.onChange();
  }

  /** Tells agents what changed, and notes that they were told. Returns the version of the last Delta. */
  flush(): number {
    const version = this.#options.placer.flush();
    // Nothing is told before both the compiler and the first list are in.
    if (version > 0) this.#options.progress.observe(this.#newest, version);
    return version;
  }

  #tell(name: string, value: Shadow | Damaged | null): void {
    if (value === null) {
      this.#names.delete(name);
    } else {
      this.#names.add(name);
      const { resourceVersion } = value.kind === 'damaged' ? value.salvage : value;
      if (!isBefore(resourceVersion, this.#newest)) this.#newest = resourceVersion;
    }
    this.#options.placer.shadow(name, value);
    this.#options.controller.shadow(name, value);
  }
}
