/** Probes and hooks, done from the node's namespace, where this process is. */

import http from 'node:http';
import https from 'node:https';
import { connect } from 'node:net';
import type { Action, ContainerSpec, Probe } from './types.ts';

export interface Target {
  readonly address: string;
  readonly spec: ContainerSpec;
  /** Runs a command inside the container; true for exit code 0. */
  exec(argv: readonly string[], timeoutMs: number): Promise<boolean>;
}

/** One try; an action that is not known is refused before (refuse.ts). */
export async function attemptAction(
  action: Action,
  target: Target,
  timeoutMs: number,
): Promise<boolean> {
  const { httpGet, tcpSocket, exec } = action;
  if (exec !== undefined) return await target.exec(exec.command ?? [], timeoutMs);
  if (tcpSocket !== undefined) {
    return await reaches(
      tcpSocket.host ?? target.address,
      portOf(tcpSocket.port, target),
      timeoutMs,
    );
  }
  if (httpGet === undefined) throw new Error('An action without httpGet, tcpSocket and exec');
  const secure = httpGet.scheme === 'HTTPS';
  const headers = Object.fromEntries(
    (httpGet.httpHeaders ?? []).map(({ name, value }) => [name, value]),
  );
  return await new Promise((resolve) => {
    const request = (secure ? https : http).get(
      {
        host: httpGet.host ?? target.address,
        port: portOf(httpGet.port, target),
        path: httpGet.path ?? '/',
        headers: { 'user-agent': 'kube-probe/1.36', ...headers },
        agent: false,
        // The kubelet does not verify either: it asks whether the container lives, not who it is.
        ...(secure ? { rejectUnauthorized: false } : {}),
      },
      (response) => {
        response.resume();
        const status = response.statusCode ?? 0;
        response.on('close', () => resolve(response.complete && status >= 200 && status < 400));
      },
    );
    const timer = setTimeout(() => request.destroy(new Error('No answer in time')), timeoutMs);
    request.on('error', () => resolve(false));
    request.on('close', () => clearTimeout(timer));
  });
}

function reaches(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (answer: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(false), timeoutMs);
    socket.on('connect', () => end(true)).on('error', () => end(false));
  });
}

function portOf(port: number | string, { spec }: Target): number {
  if (typeof port === 'number') return port;
  const named = spec.ports?.find(({ name }) => name === port)?.containerPort;
  return named ?? Number(port);
}

/** Tries a probe again and again until stopped, and tells when the outcome turns. */
export class ProbeLoop {
  readonly #probe: Probe;
  readonly #target: Target;
  readonly #onTurn: (healthy: boolean) => void;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #row = 0;
  #last: boolean | undefined;
  #healthy: boolean | undefined;

  constructor(probe: Probe, target: Target, onTurn: (healthy: boolean) => void) {
    this.#probe = probe;
    this.#target = target;
    this.#onTurn = onTurn;
    this.#again((probe.initialDelaySeconds ?? 0) * 1_000);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #again(delayMs: number): void {
    this.#timer = setTimeout(() => void this.#try(), delayMs);
  }

  async #try(): Promise<void> {
    const { timeoutSeconds = 1, periodSeconds = 10 } = this.#probe;
    const started = performance.now();
    const good = await attemptAction(this.#probe, this.#target, timeoutSeconds * 1_000);
    if (this.#stopped) return;
    this.#row = good === this.#last ? this.#row + 1 : 1;
    this.#last = good;
    const needed = good ? (this.#probe.successThreshold ?? 1) : (this.#probe.failureThreshold ?? 3);
    if (this.#row >= needed && good !== this.#healthy) {
      this.#healthy = good;
      this.#onTurn(good);
    }
    if (this.#stopped) return;
    this.#again(Math.max(0, periodSeconds * 1_000 - (performance.now() - started)));
  }
}
