/** One call as any caller makes it, and what became of it. */

import { Agent, request } from 'node:http';

import type { Clock } from '../../base/clock.ts';

export interface Target {
  readonly address: string;
  readonly port: number;
  /** Of the Host field. */
  readonly host: string;
}

/**
 * `works`: the endpoint answered. `no-connection`: nobody accepts it, or nobody answers. `failed`: the agent answers itself, or somebody else
 * does; `detail` has the status and the reason, or the code of the system.
 */
export interface Outcome {
  readonly state: 'works' | 'no-connection' | 'failed';
  readonly detail: string;
  readonly durationMs: number;
}

/** Longer than an agent waits for an endpoint to accept. */
const CALL_TIMEOUT_MS = 12_000;
const CONNECT_TIMEOUT_MS = 4_000;
/** Of an answer; "ok" and what the proxy says itself are shorter. */
const BODY_BYTES_MAX = 1_024;

/** Never rejects. A new connection each time: an old one would go on where new ones fail. */
export function call(target: Target, clock: Clock): Promise<Outcome> {
  const startedMs = clock.nowMs();
  return new Promise((resolve) => {
    let isConnected = false;
    const settle = (state: Outcome['state'], detail: string): void => {
      connecting.cancel();
      whole.cancel();
      sent.destroy();
      resolve({ state, detail, durationMs: clock.nowMs() - startedMs });
    };
    const { address, port, host } = target;
    const agent = new Agent({ keepAlive: false });
    const sent = request({ host: address, port, path: '/', agent, headers: { host } });
    const connecting = clock.after(CONNECT_TIMEOUT_MS, () => {
      if (!isConnected) settle('no-connection', 'ETIMEDOUT');
    });
    const whole = clock.after(CALL_TIMEOUT_MS, () => settle('failed', 'no answer'));
    sent.on('socket', (socket) => socket.once('connect', () => (isConnected = true)));
    sent.on('error', (error: NodeJS.ErrnoException) => {
      const detail = error.code ?? error.message;
      settle(isConnected ? 'failed' : 'no-connection', detail);
    });
    sent.on('response', (response) => {
      let body = '';
      response.setEncoding('latin1');
      response.on('data', (text: string) => {
        body = `${body}${text}`.slice(0, BODY_BYTES_MAX);
      });
      // What is cut off after its head has said enough.
      response.on('error', () => undefined);
      response.on('close', () => {
        if (response.complete) settle(...judge(response.statusCode ?? 0, body));
        else settle('failed', 'the answer was cut off');
      });
    });
    sent.end();
  });
}

function judge(status: number, body: string): [Outcome['state'], string] {
  if (status === 200 && body === 'ok\n') return ['works', ''];
  const reason = /^maesh: ([a-z_]+):/.exec(body)?.[1];
  return ['failed', reason === undefined ? String(status) : `${status} ${reason}`];
}
