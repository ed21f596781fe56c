/** How to reach the API server: from a kubeconfig file, or from what Kubernetes gives to a pod. */

import { access as canAccess } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import { systemClock } from '../../base/clock.ts';
import type { Env } from '../../base/command.ts';
import type { Clock } from '../../base/clock.ts';
import { MeshError } from '../../base/error.ts';
import { Credentials } from './credentials.ts';
import type { Access } from './credentials.ts';
import { FileText } from './file-value.ts';
import { readKubeconfig } from './kubeconfig.ts';

const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface Connection {
  /** `https://10.96.0.1:443`; may have a path, below which the API lies. */
  readonly server: string;
  /** The namespace of the context or of the pod; `default` when none is named. */
  readonly namespace: string;
  /** Where this came from: `kubeconfig "/root/.kube/config"`, `the pod's service account`. */
  readonly origin: string;
  /** Where it is reached through; undefined: directly. */
  readonly proxy?: URL | undefined;
  /** What the next request shows and checks. Throws a `MeshError` when a file or plugin fails. */
  access(): Promise<Access>;
  /** The server refused what it was shown: look again before the next request. */
  forget(): void;
}

export interface LoadConnectionOptions {
  /** A file, as from a flag; it must exist. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly env: Env;
  readonly clock?: Clock;
  /** Plugins may ask the person at the terminal; by default if standard input is one. */
  readonly hasTerminal?: boolean;
  /** Where a pod finds token, ca.crt and namespace. */
  readonly serviceAccountFolder?: string;
  /** Folder that `.kube/config` lies in. */
  readonly home?: string;
}

/**
 * The first that is there: `kubeconfig`, the files of `KUBECONFIG`, the service account of this pod, `~/.kube/config`.
 * A context asks for a kubeconfig file. Throws a `MeshError` that says what was looked for.
 */
export async function loadConnection(options: LoadConnectionOptions): Promise<Connection> {
  const { kubeconfig, context, env, clock = systemClock, hasTerminal } = options;
  const listed = (env['KUBECONFIG'] ?? '').split(':').filter((path) => path !== '');
  const named = kubeconfig === undefined || kubeconfig === '' ? listed : [kubeconfig];
  if (named.length > 0) return fromKubeconfig(named, { context, env, clock, hasTerminal });
  const folder = options.serviceAccountFolder ?? SERVICE_ACCOUNT_FOLDER;
  const host = env['KUBERNETES_SERVICE_HOST'] ?? '';
  if (host !== '' && context === undefined) return fromPod(host, folder, { env, clock });
  const path = join(options.home ?? homedir(), '.kube', 'config');
  if (!(await exists(path))) {
    throw new MeshError(
      'not_found',
      `Cannot find a cluster: there is no "${path}", KUBECONFIG is not set, and this is not a pod; name a file with --kubeconfig`,
    );
  }
  return fromKubeconfig([path], { context, env, clock, hasTerminal });
}

interface Surroundings {
  readonly env: Env;
  readonly clock: Clock;
}

async function fromKubeconfig(
  paths: readonly string[],
  surroundings: Surroundings & {
    readonly context: string | undefined;
    readonly hasTerminal: boolean | undefined;
  },
): Promise<Connection> {
  const hasTerminal = surroundings.hasTerminal ?? isatty(0);
  const chosen = await readKubeconfig({ paths, ...surroundings, hasTerminal });
  const origin = `kubeconfig "${paths.join(':')}"`;
  return {
    server: checkServer(chosen.server, origin),
    namespace: chosen.namespace,
    origin,
    proxy: chosen.proxy,
    access: () => chosen.credentials.access(),
    forget: () => chosen.credentials.forget(),
  };
}

async function fromPod(
  host: string,
  folder: string,
  { env, clock }: Surroundings,
): Promise<Connection> {
  const origin = "the pod's service account";
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const file = (name: string, what: string): FileText =>
    new FileText(join(folder, name), what, clock);
  const credentials = new Credentials({
    token: file('token', 'token of the service account'),
    ca: file('ca.crt', 'certificate authority of the cluster'),
  });
  await credentials.access().catch((error: unknown) => {
    const { code, message } = MeshError.from(error);
    throw new MeshError(
      code,
      `${message}; set "automountServiceAccountToken: true" for the pod, or use --kubeconfig`,
      error,
    );
  });
  const namespacePath = join(folder, 'namespace');
  const namespace = (await exists(namespacePath))
    ? (await file('namespace', 'namespace of the pod').read()).trim()
    : 'default';
  return {
    server: checkServer(server, origin),
    namespace,
    origin,
    access: () => credentials.access(),
    forget: () => credentials.forget(),
  };
}

/** kubectl takes an address without a scheme as http. */
function checkServer(text: string, origin: string): string {
  const written = text.includes('://') || text === '' ? text : `http://${text}`;
  const url = URL.parse(written);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new MeshError(
      'invalid_input',
      `Cannot use the server "${text}" of ${origin}: write a URL such as https://10.0.0.1:6443`,
    );
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

async function exists(path: string): Promise<boolean> {
  return canAccess(path).then(
    () => true,
    () => false,
  );
}
