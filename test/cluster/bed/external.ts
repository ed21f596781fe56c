/** The cluster of KUBECONFIG, by kubectl alone: what it was before, it is after, but for what the test itself made. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChildProcess, spawn } from 'node:child_process';
import { Api } from './api.ts';
import { attempt, type Outcome, run, waitFor } from './command.ts';
import { cachesBelow, type ExecOptions, type Ground, type PodName } from './ground.ts';
import { findTools, type Tools } from './tools.ts';

export class ExternalGround implements Ground {
  readonly api: Api;
  readonly kubectl: readonly string[];
  readonly env;
  readonly netns = undefined;
  readonly local = undefined;
  readonly #tools: Tools = findTools();
  readonly #work = mkdtempSync(join(tmpdir(), 'maesh-external-'));
  readonly #proxy: ChildProcess;

  private constructor() {
    this.kubectl = [this.#tools.kubectl];
    this.env = cachesBelow(this.#work);
    const socketPath = join(this.#work, 'api.sock');
    this.#proxy = spawn(this.#tools.kubectl, ['proxy', `--unix-socket=${socketPath}`], {
      stdio: 'ignore',
    });
    this.api = new Api({ socketPath });
  }

  static async start(): Promise<ExternalGround> {
    const ground = new ExternalGround();
    try {
      await waitFor('the API server', async () => (await ground.api.text('/readyz')) === 'ok');
    } catch (error) {
      await ground.stop();
      throw error;
    }
    return ground;
  }

  helm(major: 3 | 4): readonly string[] {
    return [this.#tools.helm[major]];
  }

  async exec(pod: PodName, argv: readonly string[], options: ExecOptions = {}): Promise<Outcome> {
    const { container, timeoutMs } = options;
    const command = [...this.kubectl, 'exec', ...where(pod, container), '--', ...argv];
    const limit = timeoutMs === undefined ? {} : { timeoutMs };
    return await attempt(command, { env: this.env, ...limit });
  }

  async logs(pod: PodName, container?: string): Promise<string> {
    const all = container === undefined ? ['--all-containers'] : [];
    return await run([...this.kubectl, 'logs', ...where(pod, container), ...all], {
      env: this.env,
    });
  }

  /** By the container's own Node, since an image need not have kill(1). */
  async killProcess(pod: PodName, signal: NodeJS.Signals, container?: string): Promise<void> {
    if (signal === 'SIGKILL')
      throw new Error('A container cannot send SIGKILL to its first process');
    const code = `process.kill(1, '${signal}')`;
    const options = container === undefined ? {} : { container };
    const { code: exit, stderr } = await this.exec(pod, ['node', '-e', code], options);
    if (exit !== 0) throw new Error(`Cannot signal ${pod}: ${stderr}`);
  }

  async stop(): Promise<void> {
    this.api.close();
    this.#proxy.kill();
    rmSync(this.#work, { recursive: true, force: true });
  }
}

function where(pod: PodName, container: string | undefined): readonly string[] {
  const [namespace = '', name = ''] = pod.split('/');
  return ['-n', namespace, name, ...(container === undefined ? [] : ['-c', container])];
}
