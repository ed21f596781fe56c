/** Asks a server over a fresh connection until it answers: how the benchmark knows that something is up. */

import { get } from 'node:http';
import { get as getSecurely } from 'node:https';
import { connect } from 'node:http2';
import type { Child } from './children.ts';

export type HttpVersion = 'http1' | 'h2';

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** The CA to believe where TLS is spoken, and the name in the certificate; null or missing where it is not. */
  readonly tls?: Trust | null;
}

export interface Trust {
  readonly name: string;
  /** PEM. */
  readonly ca: string;
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
    const { tls, ...at } = target;
    const secure = tls === undefined || tls === null ? {} : { ca: tls.ca, servername: tls.name };
    const ask = tls === undefined || tls === null ? get : getSecurely;
    const request = ask({ ...at, ...secure, agent: false, signal }, (response) => {
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

/** The same over HTTP/2 with prior knowledge; its status, or null. */
function askH2({ host, port, path }: ProbeTarget, timeoutMs = 1_000): Promise<number | null> {
  return new Promise((resolve) => {
    const session = connect(`http://${host}:${port}`);
    const end = (status: number | null): void => {
      session.destroy();
      resolve(status);
    };
    session.on('error', () => end(null));
    session.setTimeout(timeoutMs, () => end(null));
    const stream = session.request({ ':path': path });
    let status = 0;
    stream.on('response', (head) => (status = head[':status'] ?? 0));
    stream.on('error', () => end(null));
    stream.on('end', () => end(status)).resume();
  });
}

export interface Waiting extends ProbeTarget {
  /** What the server speaks; HTTP/1.1 when missing. */
  readonly version?: HttpVersion;
  /** What must be up; its end ends the waiting. */
  readonly child: Child;
  readonly timeoutMs: number;
}

/** Resolves with `performance.now()` at the first 200. */
export async function untilAnswers(target: Waiting): Promise<number> {
  const giveUp = performance.now() + target.timeoutMs;
  for (;;) {
    const status = await statusOf(target);
    if (status === 200) return performance.now();
    if (!target.child.isRunning()) {
      throw new Error(`Cannot start ${target.child.name}: it ended; ${target.child.tail()}`);
    }
    if (performance.now() > giveUp) {
      const last = status === null ? 'no answer' : `status ${status}`;
      throw new Error(
        `Cannot start ${target.child.name}: ${last} from ${target.host}:${target.port}${target.path} after ${target.timeoutMs} ms; ${target.child.tail()}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function statusOf(target: Waiting): Promise<number | null> {
  const { host, port, path } = target;
  // No field of the target but those is an option of a request.
  if (target.version === 'h2') return askH2({ host, port, path });
  return (await ask(target))?.status ?? null;
}
