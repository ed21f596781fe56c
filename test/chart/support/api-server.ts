/** A real kube-apiserver on a real etcd, on loopback: admission, RBAC and validation, without nodes or controllers. */

import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { freePorts } from '../../support/ports.ts';
import { findTool, type Outcome, output, run } from './tools.ts';

const TOKEN = 'admin-of-the-test';
const START_TIMEOUT_MS = 60_000;

export class ApiServer implements AsyncDisposable {
  readonly kubeconfig: string;
  readonly #folder: string;
  readonly #processes: ChildProcess[] = [];

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.kubeconfig = join(folder, 'kubeconfig');
    const cluster = { server: `https://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'test', user: { token: TOKEN } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    };
    writeFileSync(this.kubeconfig, JSON.stringify(config), { mode: 0o600 });
  }

  /** Ready within seconds; throws with the end of the log when it is not. */
  static async start(): Promise<ApiServer> {
    const folder = mkdtempSync(join(tmpdir(), 'maesh-api-'));
    const [client = 0, peer = 0, secure = 0] = await freePorts(3);
    const server = new ApiServer(folder, secure);
    try {
      await server.#launch({ client, peer, secure });
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  async #launch(ports: { client: number; peer: number; secure: number }): Promise<void> {
    const file = (name: string) => join(this.#folder, name);
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    writeFileSync(file('key'), privateKey.export({ type: 'pkcs1', format: 'pem' }), {
      mode: 0o600,
    });
    writeFileSync(file('tokens'), `${TOKEN},admin,1,system:masters\n`, { mode: 0o600 });
    const etcd = `http://127.0.0.1:${ports.client}`;
    const peer = `http://127.0.0.1:${ports.peer}`;
    this.#spawn(findTool('etcd'), 'etcd.log', [
      `--data-dir=${file('etcd')}`,
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      '--unsafe-no-fsync',
    ]);
    this.#spawn(findTool('kubernetes'), 'api.log', [
      'kube-apiserver',
      `--etcd-servers=${etcd}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      '--endpoint-reconciler-type=none',
      `--secure-port=${ports.secure}`,
      `--cert-dir=${file('certs')}`,
      '--service-cluster-ip-range=10.96.0.0/16',
      `--service-account-key-file=${file('key')}`,
      `--service-account-signing-key-file=${file('key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--token-auth-file=${file('tokens')}`,
      '--authorization-mode=RBAC',
    ]);
    await this.#untilReady();
  }

  #spawn(program: string, log: string, args: readonly string[]): void {
    const out = openSync(join(this.#folder, log), 'w');
    this.#processes.push(spawn(program, args, { stdio: ['ignore', out, out] }));
    closeSync(out);
  }

  async #untilReady(): Promise<void> {
    const end = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      const { code } = await this.try('get', 'namespace', 'kube-system');
      if (code === 0) return;
      const dead = this.#processes.find((child) => child.exitCode !== null);
      if (dead !== undefined || performance.now() > end) {
        const log = readFileSync(join(this.#folder, 'api.log'), 'utf8').slice(-2_000);
        throw new Error(`Cannot start the API server: ${dead?.spawnfile ?? 'not ready'}\n${log}`);
      }
      // Another process decides when it is ready, and tells nobody.
      await delay(100);
    }
  }

  /** kubectl that may fail. */
  try(...args: readonly string[]): Promise<Outcome> {
    return run(findTool('kubectl'), args, { env: this.env });
  }

  /** Standard output of kubectl, which must succeed. */
  kubectl(args: readonly string[], input = ''): Promise<string> {
    return output(findTool('kubectl'), args, { env: this.env, input });
  }

  get env(): NodeJS.ProcessEnv {
    const own = join(this.#folder, 'helm');
    return {
      PATH: process.env['PATH'],
      HOME: this.#folder,
      KUBECONFIG: this.kubeconfig,
      HELM_CACHE_HOME: own,
      HELM_CONFIG_HOME: own,
      HELM_DATA_HOME: own,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#processes.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      // Nothing here is worth keeping, and the API server takes its time when asked politely.
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
