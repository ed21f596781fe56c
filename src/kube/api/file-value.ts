/** Text that belongs to a connection, fixed or from a file that is replaced while the process runs, such as a projected token. */

import { readFile } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import { MeshError } from '../../base/error.ts';

/** A file is looked at again after this time; the kubelet renews a token long before it ends. */
const REREAD_MS = 60_000;
/** Bytes of a token, key or certificate bundle. */
const FILE_BYTES_MAX = 4_194_304;

export interface TextSource {
  read(): Promise<string>;
  /** The next read looks at the file, however short ago that was. */
  forget(): void;
}

export function fixedText(text: string): TextSource {
  return { read: async () => text, forget: () => undefined };
}

/** A file's text, read at most once a minute. A file that cannot be read keeps the last text until it was forgotten. */
export class FileText implements TextSource {
  readonly #path: string;
  readonly #what: string;
  readonly #clock: Clock;
  #text: string | null = null;
  #readAtMs = 0;

  /** `what` names the text in errors: `token`, `certificate authority`. */
  constructor(path: string, what: string, clock: Clock) {
    this.#path = path;
    this.#what = what;
    this.#clock = clock;
  }

  async read(): Promise<string> {
    const last = this.#text;
    if (last !== null && this.#clock.nowMs() - this.#readAtMs < REREAD_MS) return last;
    let text: string;
    try {
      text = await this.#load();
    } catch (error) {
      // What was good a minute ago is mostly good still; when it is not, the server says so and it is forgotten.
      if (last === null) throw error;
      text = last;
    }
    this.#text = text;
    this.#readAtMs = this.#clock.nowMs();
    return text;
  }

  forget(): void {
    this.#text = null;
  }

  async #load(): Promise<string> {
    const action = `Cannot read the ${this.#what} "${this.#path}"`;
    const bytes = await readFile(this.#path).catch((error: unknown) => {
      throw MeshError.from(error, action);
    });
    if (bytes.length === 0) {
      throw new MeshError('invalid_input', `${action}: the file is empty; write it anew`);
    }
    if (bytes.length > FILE_BYTES_MAX) {
      throw new MeshError('invalid_input', `${action}: it is longer than ${FILE_BYTES_MAX} bytes`);
    }
    return bytes.toString('utf8');
  }
}
