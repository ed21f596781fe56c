/** One node: registers itself and runs the pods that the scheduler puts on it. Its process is in the node's namespace. */

import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { Api } from '../api.ts';
import { serveExec } from './exec-server.ts';
import { PodNetworks } from './network.ts';
import { NodeRegistration } from './node.ts';
import { PodWorker } from './pod.ts';
import type { KubeletConfig, Pod } from './types.ts';
import type { DataObject } from './volumes.ts';

const REFRESH_MS = 1_000;
const PORT = 10_250;

export class Kubelet {
  readonly #config: KubeletConfig;
  readonly #api: Api;
  readonly #networks: PodNetworks;
  readonly #pods = new Map<string, PodWorker>();
  readonly #data = {
    configMap: new Map<string, DataObject>(),
    secret: new Map<string, DataObject>(),
  };

  constructor(config: KubeletConfig) {
    this.#config = config;
    this.#networks = new PodNetworks(config);
    const ca = readFileSync(config.caFile, 'utf8');
    this.#api = new Api({ server: config.server, token: config.token, ca });
  }

  /** Goes on until the process is killed. */
  async run(): Promise<void> {
    const never = new AbortController().signal;
    this.#serveLogs();
    new NodeRegistration(this.#config, this.#api, log).start(PORT);
    setInterval(() => {
      for (const worker of this.#pods.values()) worker.refresh();
    }, REFRESH_MS);
    const query = `fieldSelector=spec.nodeName%3D${this.#config.node}`;
    await Promise.all([
      this.#followData('configMap', '/api/v1/configmaps', never),
      this.#followData('secret', '/api/v1/secrets', never),
      this.#api.follow<Pod>(
        `/api/v1/pods?${query}`,
        { put: (pod) => this.#put(pod), drop: (pod) => this.#drop(pod) },
        never,
      ),
    ]);
  }

  #followData(kind: 'configMap' | 'secret', path: string, signal: AbortSignal): Promise<void> {
    const known = this.#data[kind];
    return this.#api.follow<DataObject>(
      path,
      {
        put: (object) => {
          known.set(`${object.metadata.namespace}/${object.metadata.name}`, object);
          for (const worker of this.#pods.values()) worker.refresh(kind, object.metadata.name);
        },
        drop: ({ metadata }) => known.delete(`${metadata.namespace}/${metadata.name}`),
      },
      signal,
    );
  }

  #put(pod: Pod): void {
    const uid = pod.metadata.uid ?? '';
    let worker = this.#pods.get(uid);
    if (worker === undefined) {
      // Ended before this process began, or already removed by it.
      if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return;
      worker = new PodWorker(pod, {
        config: this.#config,
        api: this.#api,
        networks: this.#networks,
        find: (kind, namespace, name) => this.#data[kind].get(`${namespace}/${name}`),
        log,
      });
      this.#pods.set(uid, worker);
      void worker.run();
    }
    worker.update(pod);
  }

  #drop(pod: Pod): void {
    const uid = pod.metadata.uid ?? '';
    this.#pods.get(uid)?.drop();
    this.#pods.delete(uid);
  }

  /** What `kubectl logs` asks the API server for, and that asks here; `follow` and `tailLines` are not understood. */
  #serveLogs(): void {
    const { caFile, keyFile, work } = this.#config;
    const tls = { cert: readFileSync(caFile), key: readFileSync(keyFile) };
    const server = https.createServer(tls, (request, response) => {
      const url = new URL(request.url ?? '', 'https://kubelet');
      const [, kind, namespace, pod, container] = url.pathname.split('/');
      const file = join(work, 'logs', `${namespace}_${pod}_${container}.log`);
      const there =
        kind === 'containerLogs' &&
        readdirSync(join(work, 'logs')).some((name) => file.endsWith(`/${name}`));
      if (!there) {
        response.writeHead(501).end('The kubelet of the test bed serves nothing but logs\n');
        return;
      }
      const tail = Number(url.searchParams.get('tailLines') ?? Number.NaN);
      if (url.searchParams.get('follow') === 'true') {
        response.writeHead(501).end('The kubelet of the test bed does not follow logs\n');
      } else if (Number.isNaN(tail)) {
        response.writeHead(200, { 'content-length': statSync(file).size });
        createReadStream(file, { end: Math.max(0, statSync(file).size - 1) }).pipe(response);
      } else {
        const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
        response.end(tail === 0 ? '' : `${lines.slice(-tail).join('\n')}\n`);
      }
    });
    server.on('upgrade', (request, socket) => serveExec(request, socket, work));
    server.listen(PORT, this.#config.address);
  }
}

function log(text: string): void {
  process.stdout.write(`${new Date().toISOString()} ${text}\n`);
}
