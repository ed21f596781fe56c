/** The certificates that a controller may show: from the cluster, and from a copy while the API server is away. */

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, MeshError } from '../../base/error.ts';
import type { KubeClient } from '../../kube/api/client.ts';
import { textAt } from '../../base/record.ts';
import { CA, CA_KEY } from '../../model/names.ts';

export interface BundleOptions {
  readonly client: Pick<KubeClient, 'request'>;
  readonly namespace: string;
  readonly stateDir: string;
}

const REQUEST_TIMEOUT_MS = 5_000;

export class Bundle {
  readonly #options: BundleOptions;
  #last = '';

  constructor(options: BundleOptions) {
    this.#options = options;
  }

  /** PEM certificates. Throws MeshError when neither the cluster nor the copy has them. */
  async read(): Promise<string> {
    try {
      const found = await this.#ask();
      if (found !== this.#last) await this.#keep(found);
      this.#last = found;
      return found;
    } catch (error) {
      const copy = this.#last === '' ? await this.#copy() : this.#last;
      if (copy === '') throw error;
      return copy;
    }
  }

  async #ask(): Promise<string> {
    const { client, namespace } = this.#options;
    const answer = await client.request({
      method: 'GET',
      path: `/api/v1/namespaces/${namespace}/configmaps/${CA}`,
      timeoutMs: REQUEST_TIMEOUT_MS,
    });
    const text = textAt(answer, 'data', CA_KEY);
    if (text.includes('BEGIN CERTIFICATE')) return text;
    throw new MeshError(
      'not_found',
      `ConfigMap ${namespace}/${CA} has no certificates in "${CA_KEY}": the controller writes them; look at its log`,
    );
  }

  async #copy(): Promise<string> {
    try {
      return await readFile(this.#file(), 'utf8');
    } catch (error) {
      if (codeOf(error) === 'not_found') return '';
      throw error;
    }
  }

  async #keep(text: string): Promise<void> {
    await mkdir(this.#options.stateDir, { recursive: true });
    await writeFile(`${this.#file()}.new`, text);
    await rename(`${this.#file()}.new`, this.#file());
  }

  #file(): string {
    return join(this.#options.stateDir, CA_KEY);
  }
}
