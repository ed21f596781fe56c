/** A client with many streams of gRPC, told line by line what to do with them (node/streams-client.mjs). */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { clientCommand, env } from './tools.ts';

export interface Tally {
  /** Streams. */
  readonly open: number;
  /** That came since the one before. */
  readonly answers: number;
  /** How streams and calls ended since the one before: how many by code. */
  readonly ended: Readonly<Record<string, number>>;
  /** What those that ended with a code other than OK were told: how many by message. */
  readonly told: Readonly<Record<string, number>>;
}

/** Longer than anything here takes: what hangs does not hang the test. */
const ANSWER_MS = 60_000;

export class Streams {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  #errors = '';

  constructor(origin: string) {
    const [program = '', ...args] = clientCommand('node', ['grpc-streams', origin]);
    this.#child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    this.#reader = createInterface({ input: stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Resolves when no stream has anything more to say to it; rejects when one of them hangs. */
  async do(command: string): Promise<Tally> {
    this.#child.stdin?.write(`${command}\n`);
    const gaveUp = AbortSignal.timeout(ANSWER_MS);
    const late = new Promise<never>((_, reject) => {
      gaveUp.addEventListener('abort', () => reject(new Error(`${command} hangs`)));
    });
    const { value, done } = await Promise.race([this.#lines.next(), late]);
    if (done === true) throw new Error(`the client ended: ${this.#errors}`);
    return JSON.parse(value) as Tally;
  }

  stop(): void {
    this.#reader.close();
    this.#child.kill('SIGKILL');
  }
}
