/** What the log says of the sockets that the threads have. */

import type { Log } from '../../base/log.ts';
import type { StartedMessage } from './message.ts';

export class NotedSockets {
  readonly #log: Pick<Log, 'debug' | 'warn'>;
  readonly #told = new Set<string>();

  constructor(log: Pick<Log, 'debug' | 'warn'>) {
    this.#log = log;
  }

  /** Told by the first thread for all: what a self-test finds is the same on each, but for chance. */
  note({ sockets, reason, unspliced, runtimeDatagrams }: StartedMessage): void {
    const told = `${sockets} ${reason} ${unspliced} ${runtimeDatagrams}`;
    if (this.#told.has(told)) return;
    this.#told.add(told);
    const log = this.#log;
    if (reason === '') log.debug('Sockets', { sockets });
    else log.warn('Sockets of the runtime are used, since the self-test failed', { reason });
    if (unspliced !== '') log.warn('Long bodies are copied', { reason: unspliced });
    if (runtimeDatagrams !== '')
      log.warn('Datagrams go through the runtime', { reason: runtimeDatagrams });
  }
}
