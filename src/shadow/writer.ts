/** Writes shadow Services so that nothing of others is overwritten: each write says which object it was decided for. */

import { isRecord, listAt, type Raw, recordAt, textAt } from '../base/record.ts';
import { orNull } from '../kube/api/api-error.ts';
import { FIELD_MANAGER } from '../kube/api/client.ts';
import type { KubeClient } from '../kube/api/client.ts';
import { resourcePath } from '../kube/api/path.ts';
import { isOfMesh, LABEL } from '../model/names.ts';
import { read } from './read.ts';
import { differences, digestOf, render, repairOf } from './render.ts';
import type { Desired, RenderOptions } from './render.ts';
import type { Shadow } from './shadow.ts';

/** Where apply leaves alone what others added. */
const SHARED_FIELDS: ReadonlySet<string> = new Set([
  'metadata.annotations',
  'spec.selector',
  'spec.ports',
  'spec.publishNotReadyAddresses',
  'spec.externalIPs',
]);

export type ShadowApi = Pick<KubeClient, 'get' | 'apply' | 'patch' | 'delete'>;

export interface Written {
  /** The object as the server answered it. */
  readonly shadow: Shadow;
  /** Of what was asked for; another one than `shadow.digest` when the server made something else of it. */
  readonly digest: string;
  /** Fields that the server, or a webhook of it, made something else of. */
  readonly changed: readonly string[];
}

export class ShadowWriter {
  readonly #api: ShadowApi;
  readonly #options: RenderOptions;

  constructor(api: ShadowApi, options: RenderOptions) {
    this.#api = api;
    this.#options = options;
  }

  /** The object of that name, null when there is none. Throws as the client does. */
  look(name: string, signal: AbortSignal): Promise<Raw | null> {
    return orNull(this.#api.get(this.#path(name), { signal }));
  }

  /** Makes an object that was not there a moment ago. Fields of a stranger that came in between are a conflict. */
  async create(desired: Desired, signal: AbortSignal): Promise<Written> {
    const object = render(desired, this.#options);
    const answer = await this.#api.apply(this.#path(desired.name), object, { signal });
    return this.#finish(object, answer, signal);
  }

  /** Changes the object as it was seen; one that changed since is a conflict. */
  async update(desired: Desired, seen: Shadow, signal: AbortSignal): Promise<Written> {
    const object = render(desired, this.#options);
    const metadata = recordAt(object, 'metadata');
    const { uid, resourceVersion } = seen;
    const body = { ...object, metadata: { ...metadata, uid, resourceVersion } };
    const path = this.#path(desired.name);
    const answer = await this.#api.apply(path, body, { force: true, signal });
    return this.#finish(object, answer, signal);
  }

  /** Deletes the object as it was seen. One that is gone already is no error. */
  async delete(seen: Shadow, signal: AbortSignal): Promise<void> {
    const { uid, resourceVersion } = seen;
    await orNull(this.#api.delete(this.#path(seen.name), { uid, resourceVersion, signal }));
  }

  /** Apply leaves alone what others added, to lists too; what is ours whole is written whole then. */
  async #finish(object: Raw, answer: Raw, signal: AbortSignal): Promise<Written> {
    let result = answer;
    if (differences(object, result).some((field) => SHARED_FIELDS.has(field))) {
      const path = this.#path(textAt(object, 'metadata', 'name'));
      result = await this.#api.patch(path, repairOf(object, result), { type: 'merge', signal });
    }
    const found = read(result);
    const shadow = found?.kind === 'damaged' ? found.salvage : found;
    if (shadow === null) throw new TypeError('an object that was written has no name');
    return { shadow, digest: digestOf(object), changed: differences(object, result) };
  }

  #path(name: string): string {
    const { namespace } = this.#options;
    return resourcePath({ version: 'v1', plural: 'services', namespace, name });
  }
}

/** Whether an object that nobody expected under the name of a shadow Service belongs to the mesh, for this Service. */
export function isOurs(raw: unknown, service: string): boolean {
  const found = read(raw);
  if (found === null) return false;
  const named = (found.kind === 'damaged' ? found.salvage : found).service;
  if (named !== '') return named === service;
  const labels = recordAt(raw, 'metadata', 'labels');
  if (isOfMesh(labels) && labels[LABEL.component] === 'shadow') return true;
  // Who takes all labels and annotations away still leaves a trace of who applied it.
  const fields = listAt(raw, 'metadata', 'managedFields');
  return fields.some(
    (item) => isRecord(item) && item['manager'] === FIELD_MANAGER && item['operation'] === 'Apply',
  );
}
