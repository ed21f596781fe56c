/** A controller or an agent in this process: what it logs is read, its end awaited, its admin API asked. */

import type { CommandIo } from '../../../src/base/command.ts';
import { call } from '../../e2e/support/call.ts';
import { until } from '../../e2e/support/until.ts';

interface Line {
  readonly level: string;
  readonly message: string;
  readonly host?: string;
  readonly port?: number;
  readonly error?: string;
}

/** As `runController` and `runAgent` are. */
type Run = (io: CommandIo) => Promise<number>;

export class Part {
  readonly name: string;
  readonly lines: Line[] = [];
  /** What it said that is no line of its log. */
  complaints = '';
  /** Exit code. */
  readonly exit: Promise<number>;
  hasEnded = false;
  readonly #signals = new Map<string, () => void>();
  readonly #isListening = Promise.withResolvers<void>();

  constructor(name: string, run: Run) {
    this.name = name;
    this.exit = run({
      out: (text) => void (this.complaints += text),
      err: (text) => this.#read(text),
      onSignal: (signal, react) => {
        this.#signals.set(signal, react);
        if (signal === 'SIGTERM') this.#isListening.resolve();
        return () => this.#signals.delete(signal);
      },
    }).finally(() => (this.hasEnded = true));
  }

  /** What SIGTERM does once it is listened for; resolves with the exit code. */
  async end(): Promise<number> {
    await Promise.race([this.#isListening.promise, this.exit]);
    this.#signals.get('SIGTERM')?.();
    return this.exit;
  }

  /** Where the part listens for what this line of its log says, 0 before it. */
  port(message: string): number {
    return this.lines.find((line) => line.message === message)?.port ?? 0;
  }

  /** Everything that it said, for the messages of tests that fail. */
  get log(): string {
    return `${this.lines.map((line) => JSON.stringify(line)).join('\n')}\n${this.complaints}`;
  }

  async status(path: string): Promise<number> {
    return (await this.#ask(path)).status;
  }

  async json<T>(path: string): Promise<T> {
    return JSON.parse((await this.#ask(path)).body) as T;
  }

  async text(path: string): Promise<string> {
    return (await this.#ask(path)).body;
  }

  /** Why `/readyz` says no; empty when it says yes. */
  async pending(): Promise<readonly string[]> {
    return (await this.json<{ pending: readonly string[] }>('/readyz')).pending;
  }

  async ready(): Promise<void> {
    await until(
      `${this.name} is ready`,
      async () => (await this.status('/readyz')) === 200,
      60_000,
    );
  }

  async #ask(path: string) {
    const port = this.port('Serving health, metrics and the API');
    return call({ address: '127.0.0.1', port, path });
  }

  #read(text: string): void {
    if (text.startsWith('{')) this.lines.push(JSON.parse(text) as Line);
    else this.complaints += text;
  }
}
