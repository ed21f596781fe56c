/** The shadow Services as the API server shows them, counted as they come. */

import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { recordAt, textAt } from '../../src/base/record.ts';
import { selectorOfPart, SHADOW_ANNOTATION } from '../../src/model/names.ts';
import type { KubeClient, KubeRecord } from '../../src/kube/api/client.ts';
import { resourcePath } from '../../src/kube/api/path.ts';
import { Reflector } from '../../src/kube/api/reflector.ts';
import { MESH_NAMESPACE } from './objects.ts';

/** Start it once the API server is there; stop it before that ends. */
export class Shadows {
  readonly #states = new Map<string, string>();
  readonly #reflector: Reflector<KubeRecord>;
  #writes = 0;

  constructor(client: KubeClient) {
    this.#reflector = new Reflector<KubeRecord>({
      client,
      path: resourcePath({ version: 'v1', plural: 'services', namespace: MESH_NAMESPACE }),
      labelSelector: selectorOfPart('shadow'),
      pick: (raw) => raw,
      sink: {
        replace: (all) => {
          this.#states.clear();
          for (const each of all) this.#put(each);
        },
        set: (each) => {
          this.#writes += 1;
          this.#put(each);
        },
        delete: ({ name }) => {
          this.#writes += 1;
          this.#states.delete(name);
        },
      },
      clock: systemClock,
      random: systemRandom,
    });
  }

  start(): void {
    this.#reflector.start();
  }

  stop(): Promise<void> {
    return this.#reflector.stop();
  }

  get count(): number {
    return this.#states.size;
  }

  get published(): number {
    let count = 0;
    for (const state of this.#states.values()) if (state === 'published') count += 1;
    return count;
  }

  /** Changes seen so far. */
  get writes(): number {
    return this.#writes;
  }

  #put(raw: KubeRecord): void {
    const annotations = recordAt(raw, 'metadata', 'annotations');
    this.#states.set(textAt(raw, 'metadata', 'name'), String(annotations[SHADOW_ANNOTATION.state]));
  }
}
