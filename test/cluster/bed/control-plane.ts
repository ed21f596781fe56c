/** etcd, API server, controllers and scheduler as processes of the outer namespace; each can be killed and started. */

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Api } from './api.ts';
import { Daemon, run, waitFor } from './command.ts';
import {
  LAB_ADDRESS,
  type LabNet,
  POD_CIDR,
  POD_CIDR6,
  SERVICE_CIDR,
  SERVICE_CIDR6,
} from './netns.ts';
import { kubernetesMinor, type Tools } from './tools.ts';

export interface ControlPlaneOptions {
  readonly work: string;
  readonly net: LabNet;
  readonly tools: Tools;
  readonly dualStack: boolean;
}

/** How long a node may be silent until its pods count as not ready. The default of Kubernetes is 50 s. */
export const NODE_GRACE_SECONDS = 10;
/** From here on controllers have the names that documents give them. */
const CONTROLLER_NAMES_MINOR = 28;
const ETCD = 'http://127.0.0.1:2379';
export const API_SERVER = `https://${LAB_ADDRESS}:6443`;

export class ControlPlane {
  readonly etcd: Daemon;
  readonly apiServer: Daemon;
  readonly controllers: Daemon;
  readonly scheduler: Daemon;
  /** The world outside: knows no name at all, so that a name nobody answers is NXDOMAIN as in real life. */
  readonly resolver: Daemon;
  readonly kubeconfig: string;
  readonly token = randomBytes(16).toString('hex');
  /** The API, by way of `kubectl proxy` on a Unix socket, since the test is not in the namespace. */
  readonly api: Api;
  readonly socketPath: string;
  readonly #proxy: Daemon;
  readonly #certs: string;
  readonly #lab: string;

  constructor({ work, net, tools, dualStack }: ControlPlaneOptions) {
    this.#lab = net.lab;
    this.#certs = join(work, 'certs');
    this.kubeconfig = join(work, 'kubeconfig');
    this.socketPath = join(work, 'api.sock');
    this.api = new Api({ socketPath: this.socketPath });
    const daemon = (name: string, argv: readonly string[]): Daemon =>
      new Daemon({ name, argv, netns: net.lab, logFile: join(work, `${name}.log`) });
    const key = join(this.#certs, 'service-accounts.key');
    const minor = kubernetesMinor(tools.kubernetesVersion);
    this.etcd = daemon('etcd', [
      tools.etcd,
      `--data-dir=${join(work, 'etcd')}`,
      `--listen-client-urls=${ETCD}`,
      `--advertise-client-urls=${ETCD}`,
      '--unsafe-no-fsync',
      '--log-level=warn',
    ]);
    this.apiServer = daemon('kube-apiserver', [
      tools.kubernetes,
      'kube-apiserver',
      `--etcd-servers=${ETCD}`,
      '--bind-address=0.0.0.0',
      `--advertise-address=${LAB_ADDRESS}`,
      '--secure-port=6443',
      `--cert-dir=${this.#certs}`,
      `--service-cluster-ip-range=${families(dualStack, SERVICE_CIDR, SERVICE_CIDR6)}`,
      `--service-account-key-file=${key}`,
      `--service-account-signing-key-file=${key}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--token-auth-file=${join(this.#certs, 'tokens.csv')}`,
      '--authorization-mode=Node,RBAC',
      '--allow-privileged',
      '--kubelet-preferred-address-types=InternalIP',
      '--profiling=false',
    ]);
    this.controllers = daemon('kube-controller-manager', [
      tools.kubernetes,
      'kube-controller-manager',
      `--kubeconfig=${this.kubeconfig}`,
      `--service-account-private-key-file=${key}`,
      `--root-ca-file=${join(this.#certs, 'apiserver.crt')}`,
      `--cluster-cidr=${families(dualStack, POD_CIDR, POD_CIDR6)}`,
      `--controllers=*,-${minor < CONTROLLER_NAMES_MINOR ? 'nodeipam' : 'node-ipam-controller'}`,
      '--leader-elect=false',
      '--node-monitor-period=1s',
      `--node-monitor-grace-period=${NODE_GRACE_SECONDS}s`,
      '--profiling=false',
    ]);
    this.scheduler = daemon('kube-scheduler', [
      tools.kubernetes,
      'kube-scheduler',
      `--kubeconfig=${this.kubeconfig}`,
      '--leader-elect=false',
      '--profiling=false',
    ]);
    const corefile = join(work, 'resolver.Corefile');
    this.resolver = daemon('resolver', [tools.coredns, '-conf', corefile]);
    this.#proxy = daemon('kubectl-proxy', [
      tools.kubectl,
      `--kubeconfig=${this.kubeconfig}`,
      'proxy',
      `--unix-socket=${this.socketPath}`,
    ]);
    mkdirSync(this.#certs, { mode: 0o700 });
    const outside = `.:53 {\n  bind ${LAB_ADDRESS}\n  template ANY ANY . {\n    rcode NXDOMAIN\n  }\n}\n`;
    writeFileSync(corefile, outside);
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    const line = `${this.token},admin,admin,"system:masters"\n`;
    writeFileSync(join(this.#certs, 'tokens.csv'), line, { mode: 0o600 });
  }

  /** Ready when the API server says so; controllers and scheduler follow by themselves. */
  async start(): Promise<void> {
    this.etcd.start();
    this.apiServer.start();
    this.resolver.start();
    // The API server makes its own certificate at its first start.
    const certificate = join(this.#certs, 'apiserver.crt');
    await this.#alive(this.apiServer, () => existsSync(certificate) && this.ca.includes('END'));
    writeFileSync(this.kubeconfig, this.#config(), { mode: 0o600 });
    this.#proxy.start();
    await this.ready();
    this.controllers.start();
    this.scheduler.start();
  }

  async ready(): Promise<void> {
    await this.#alive(this.apiServer, async () => (await this.api.text('/readyz', 2_000)) === 'ok');
  }

  get ca(): string {
    return readFileSync(join(this.#certs, 'apiserver.crt'), 'utf8');
  }

  get caFile(): string {
    return join(this.#certs, 'apiserver.crt');
  }

  get keyFile(): string {
    return join(this.#certs, 'apiserver.key');
  }

  /** Forgets all past versions in etcd, so that who comes with an old one is told 410 Gone. */
  async compact(): Promise<void> {
    const post = (path: string, body: unknown): readonly string[] =>
      ['curl', '-fsS', '-d', JSON.stringify(body), `${ETCD}/v3/kv/${path}`] as const;
    const range = await run(post('range', { key: 'AA==', limit: 1 }), { netns: this.#lab });
    const { header } = JSON.parse(range) as { header: { revision: string } };
    const body = { revision: header.revision, physical: true };
    await run(post('compaction', body), { netns: this.#lab });
  }

  async stop(): Promise<void> {
    this.api.close();
    const parts = [this.#proxy, this.scheduler, this.controllers, this.resolver];
    await Promise.all([...parts, this.apiServer, this.etcd].map((part) => part.kill()));
  }

  async #alive(daemon: Daemon, question: () => boolean | Promise<boolean>): Promise<void> {
    try {
      await waitFor(daemon.name, () => !daemon.running || question(), { everyMs: 50 });
    } catch (error) {
      throw new Error(`${daemon.name} is not ready:\n${daemon.tail()}`, { cause: error });
    }
    if (!daemon.running) throw new Error(`${daemon.name} ended:\n${daemon.tail()}`);
  }

  #config(): string {
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'bed',
          cluster: {
            server: API_SERVER,
            'certificate-authority-data': Buffer.from(this.ca).toString('base64'),
          },
        },
      ],
      users: [{ name: 'admin', user: { token: this.token } }],
      contexts: [{ name: 'bed', context: { cluster: 'bed', user: 'admin' } }],
      'current-context': 'bed',
    });
  }
}

function families(dualStack: boolean, four: string, six: string): string {
  return dualStack ? `${four},${six}` : four;
}
