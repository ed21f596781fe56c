/** The same parts as children of `bin/maesh`, told by variables what they are told in this process by settings. */

import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import type { CommandIo } from '../../../src/base/command.ts';
import type { ControllerSettings } from '../../../src/run/controller/settings.ts';
import type { NodeSettings } from '../../../src/run/agent/settings.ts';
import { BIN } from '../../e2e/support/mesh.ts';

type Env = Readonly<Record<string, string>>;

/** Ends the child when the test process goes, however it goes. */
const GUARD = new URL('../../../demo/mesh/with-parent.ts', import.meta.url).href;

export function controllerProcess(io: CommandIo, settings: ControllerSettings, env: Env) {
  const { kubeconfig, proxyPorts, discovery, probe, admin, dnsMode, logFormat, identity } =
    settings;
  return run(io, 'controller', {
    ...env,
    POD_NAME: identity,
    MAESH_KUBECONFIG: kubeconfig,
    MAESH_PROXY_PORTS: `${proxyPorts.from}-${proxyPorts.to}`,
    MAESH_DISCOVERY: textOf(discovery),
    MAESH_PROBE: probe === null ? 'off' : textOf(probe),
    MAESH_ADMIN: textOf(admin),
    MAESH_DNS_MODE: dnsMode,
    MAESH_LOG_FORMAT: logFormat,
  });
}

export interface ProcessOptions {
  /** Module that the process loads before everything else. */
  readonly preload?: string;
  readonly onStart?: (child: ChildProcess) => void;
}

export function agentProcess(io: CommandIo, settings: NodeSettings, options: ProcessOptions = {}) {
  const { kubeconfig, controller, stateDir, tokenFile, dns, admin } = settings;
  const env = {
    POD_NAME: settings.pod,
    NODE_NAME: settings.node,
    MAESH_KUBECONFIG: kubeconfig,
    MAESH_CONTROLLER: textOf(controller),
    MAESH_STATE_DIR: stateDir,
    MAESH_TOKEN_FILE: tokenFile,
    MAESH_DNS: dns === null ? 'off' : textOf(dns),
    MAESH_ADMIN: textOf(admin),
    MAESH_THREADS: String(settings.threads),
    MAESH_DRAIN_DELAY: `${settings.drainDelayMs}ms`,
    MAESH_DRAIN_TIMEOUT: `${settings.drainTimeoutMs}ms`,
    MAESH_LOG_FORMAT: settings.logFormat,
  };
  return run(io, 'agent', env, options);
}

/** Resolves with the exit code, as a shell has it when a signal ended it: 137 for SIGKILL. */
// oxlint-disable-next-line max-params -- one process: what it says, what it runs, what it is told
function run(
  io: CommandIo,
  command: string,
  env: Env,
  { preload, onStart }: ProcessOptions = {},
): Promise<number> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('MAESH_'));
  const preloads = [GUARD, ...(preload === undefined ? [] : [preload])];
  const options = [process.env['NODE_OPTIONS'] ?? '', ...preloads.map((url) => `--import=${url}`)]
    .join(' ')
    .trim();
  const child = spawn(BIN, [command], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...Object.fromEntries(inherited), ...env, NODE_OPTIONS: options },
  });
  onStart?.(child);
  createInterface({ input: child.stderr }).on('line', (line) => io.err(line));
  io.onSignal('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

function textOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host}:${port}`;
}
