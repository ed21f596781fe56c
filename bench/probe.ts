/** Asks a server over a fresh connection until it answers: how the benchmark knows that something is up. */

import { connect } from 'node:net';
import type { Child } from './children.ts';

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** One `GET` with `Connection: close`; null when the connection fails or says nothing within `timeoutMs`. */
export function ask(target: ProbeTarget, timeoutMs = 1_000): Promise<Answer | null> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host: target.host, port: target.port });
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      const [head = '', ...rest] = text.split('\r\n\r\n');
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
      resolve(status === 0 ? null : { status, head, body: rest.join('\r\n\r\n') });
    };
    const timer = setTimeout(finish, timeoutMs);
    socket.setEncoding('latin1');
    socket.on('connect', () =>
      socket.write(
        `GET ${target.path} HTTP/1.1\r\nHost: ${target.host}:${target.port}\r\nConnection: close\r\n\r\n`,
      ),
    );
    socket.on('data', (chunk: string) => (text += chunk));
    socket.on('end', finish);
    socket.on('error', finish);
  });
}

export interface Waiting extends ProbeTarget {
  /** What must be up; its end ends the waiting. */
  readonly child: Child;
  readonly timeoutMs: number;
}

/** Resolves with `performance.now()` at the first 200. */
export async function untilAnswers(target: Waiting): Promise<number> {
  const giveUp = performance.now() + target.timeoutMs;
  for (;;) {
    const answer = await ask(target);
    if (answer?.status === 200) return performance.now();
    if (!target.child.isRunning()) {
      throw new Error(`Cannot start ${target.child.name}: it ended; ${target.child.tail()}`);
    }
    if (performance.now() > giveUp) {
      const last = answer === null ? 'no answer' : `status ${answer.status}`;
      throw new Error(
        `Cannot start ${target.child.name}: ${last} from ${target.host}:${target.port}${target.path} after ${target.timeoutMs} ms; ${target.child.tail()}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
