/** Where access-log lines go: a file opened for appending, or standard output. */

import fs from 'node:fs';
import { MeshError } from '../../base/error.ts';

export interface AccessSink {
  /** Writes `length` bytes from `offset` on and says later how many went; one write at a time. */
  write(buffer: Buffer, offset: number, length: number, done: WriteDone): void;
  /**
   * Opens the file anew, for log rotation, and says whether what follows goes to another file than before. Never while a
   * write is under way. On failure the old file stays.
   */
  reopen(done: ReopenDone): void;
  close(): void;
}

export type ReopenDone = (error: Error | null, isNew: boolean) => void;
export type WriteDone = (error: Error | null, written: number) => void;

const STDOUT = 1;
/** Readable by the owner's group, since log readers often run as another user. */
const FILE_MODE = 0o640;

export class FileSink implements AccessSink {
  readonly #path: string;
  #fd: number;

  /** Opens `path` ('-' is standard output). Throws a `MeshError` when that is not possible. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = path === '-' ? STDOUT : fs.openSync(path, 'a', FILE_MODE);
    } catch (error) {
      throw MeshError.from(error, `Cannot open the access log "${path}"`);
    }
  }

  write(buffer: Buffer, offset: number, length: number, done: WriteDone): void {
    fs.write(this.#fd, buffer, offset, length, null, done);
  }

  reopen(done: ReopenDone): void {
    if (this.#fd === STDOUT) {
      done(null, false);
      return;
    }
    fs.open(this.#path, 'a', FILE_MODE, (error, fd) => {
      if (error === null) {
        const old = this.#fd;
        this.#fd = fd;
        fs.close(old, (closeError) => done(closeError, true));
      } else done(error, false);
    });
  }

  close(): void {
    if (this.#fd !== STDOUT) fs.closeSync(this.#fd);
  }
}
