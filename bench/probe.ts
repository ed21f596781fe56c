/** Asks a server over a fresh connection until it answers: how the benchmark knows that something is up. */

import { get } from 'node:http';
import type { Child } from './children.ts';

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

export interface Answer {
  readonly status: number;
  readonly setCookie: readonly string[];
  readonly body: string;
}

/** One `GET` on a fresh connection; null when that fails or the whole answer is not there within `timeoutMs`. */
export function ask(target: ProbeTarget, timeoutMs = 1_000): Promise<Answer | null> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const request = get({ ...target, agent: false, signal }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('error', () => resolve(null));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          setCookie: response.headers['set-cookie'] ?? [],
          body,
        }),
      );
    });
    request.on('error', () => resolve(null));
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
