/**
 * A real etcd and kube-apiserver on the loopback address, without nodes or controllers. What is there at the start is
 * written into etcd before; after that all goes through the API.
 */

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { KubeClient } from '../../src/kube/api/client.ts';
import { loadConnection } from '../../src/kube/api/connection.ts';
import { run, waitFor } from '../../test/cluster/bed/command.ts';
import { freePorts } from '../../test/support/ports.ts';
import type { Tools } from '../../test/cluster/bed/tools.ts';
import { Child } from './child.ts';
import type { Stored } from './objects.ts';

const START_TIMEOUT_MS = 180_000;
/** Bytes of objects written into etcd at a time. */
const BATCH_BYTES = 1_000_000;
const BATCH_OBJECTS = 500;

export interface Cluster {
  readonly etcd: Child;
  readonly apiServer: Child;
  /** As an administrator, whom the API server's flow control does not hold back. */
  readonly client: KubeClient;
  readonly kubeconfig: string;
  /** An answer that is no object: `/readyz`, `/metrics`. */
  raw(path: string): Promise<string>;
  /** Writes objects past the API. */
  store(objects: Iterable<Stored>): Promise<number>;
  /** A kubeconfig with that token. */
  configFor(name: string, token: string): string;
}

/** `onChild` is told of each process as soon as it is there, so that it can be ended. */
export async function startCluster(options: {
  readonly folder: string;
  readonly tools: Tools;
  readonly seed: Iterable<Stored>;
  readonly onChild: (child: Child) => void;
  readonly progress: (text: string) => void;
}): Promise<Cluster> {
  const { folder, tools, onChild, progress } = options;
  const [clientPort = 0, peerPort = 0, port = 0] = await freePorts(3);
  const url = `http://127.0.0.1:${clientPort}`;
  const start = (name: string, argv: readonly string[]): Child => {
    const child = new Child({ name, argv, logFile: join(folder, `${name}.log`) });
    onChild(child);
    return child;
  };
  const etcd = start('etcd', etcdCommand(tools, folder, { url, peerPort }));
  await ready(etcd, async () => (await fetch(`${url}/readyz`)).ok);
  const seeded = await store(url, options.seed);
  progress(`${seeded} objects are in etcd`);

  const token = randomBytes(16).toString('hex');
  const configFor = (name: string, token: string): string => {
    const path = join(folder, `kubeconfig-${name}`);
    writeFileSync(path, kubeconfig(port, token), { mode: 0o600 });
    return path;
  };
  const admin = configFor('admin', token);
  const apiServer = start('kube-apiserver', apiServerCommand(tools, folder, { url, port, token }));
  const connection = await loadConnection({ kubeconfig: admin, env: {} });
  const client = new KubeClient(connection, { clock: systemClock });
  const raw = (path: string): Promise<string> =>
    run([tools.kubectl, `--kubeconfig=${admin}`, 'get', '--raw', path], { timeoutMs: 20_000 });
  await ready(apiServer, async () => (await raw('/readyz')) === 'ok');
  progress('the API server is ready');
  const write = (objects: Iterable<Stored>): Promise<number> => store(url, objects);
  return { etcd, apiServer, client, kubeconfig: admin, raw, store: write, configFor };
}

async function ready(child: Child, question: () => Promise<boolean>): Promise<void> {
  try {
    await waitFor(child.name, () => !child.isRunning || question(), {
      timeoutMs: START_TIMEOUT_MS,
    });
  } catch (error) {
    throw new Error(`${child.name} is not ready:\n${child.tail()}`, { cause: error });
  }
  child.mustRun();
}

function etcdCommand(
  tools: Tools,
  folder: string,
  { url, peerPort }: { readonly url: string; readonly peerPort: number },
): readonly string[] {
  const peer = `http://127.0.0.1:${peerPort}`;
  return [
    tools.etcd,
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    '--quota-backend-bytes=8589934592',
    '--max-txn-ops=1024',
    '--max-request-bytes=8388608',
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

function apiServerCommand(
  tools: Tools,
  folder: string,
  { url, port, token }: { readonly url: string; readonly port: number; readonly token: string },
): readonly string[] {
  const key = join(folder, 'service-accounts.key');
  const tokens = join(folder, 'tokens.csv');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(tokens, `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
  return [
    tools.kubernetes,
    'kube-apiserver',
    `--etcd-servers=${url}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    `--secure-port=${port}`,
    `--cert-dir=${join(folder, 'certs')}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    `--service-account-key-file=${key}`,
    `--service-account-signing-key-file=${key}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--token-auth-file=${tokens}`,
    '--authorization-mode=RBAC',
    '--profiling=false',
  ];
}

function kubeconfig(port: number, token: string): string {
  const cluster = { server: `https://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'bench',
    clusters: [{ name: 'bench', cluster }],
    users: [{ name: 'bench', user: { token } }],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
  });
}

/** By the JSON gateway of etcd, many objects in one transaction; how many there were. */
async function store(url: string, objects: Iterable<Stored>): Promise<number> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  let [puts, bytes, count]: [object[], number, number] = [[], 0, 0];
  const flush = async (): Promise<void> => {
    const body = JSON.stringify({ success: puts });
    [puts, bytes] = [[], 0];
    const answer = await fetch(`${url}/v3/kv/txn`, { method: 'POST', body });
    if (!answer.ok)
      throw new Error(`etcd refuses objects: ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
  };
  for (const { key, object } of objects) {
    const value = JSON.stringify(object);
    puts.push({ requestPut: { key: base64(key), value: base64(value) } });
    bytes += value.length;
    count += 1;
    if (bytes >= BATCH_BYTES || puts.length >= BATCH_OBJECTS) await flush();
  }
  if (puts.length > 0) await flush();
  return count;
}
