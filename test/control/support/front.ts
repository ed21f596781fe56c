/**
 * The API server as a user with a kubeconfig reaches it: in front of the fake one, with the proxy subresource of Pods, which leads
 * to the admin ports of the parts that run here. What a user may not, and which Pods cannot be reached, is up to the test.
 */

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { labelsOf } from '../../../src/install/installed.fixture.ts';
import type { Cluster } from './cluster.ts';
import type { Part } from './part.ts';

const PROXY = /^\/api\/v1\/namespaces\/maesh\/pods\/([^/:]+):9000\/proxy(\/.*)$/;

export class Front {
  /** Requests through the proxy subresource, as `POD PATH`. */
  readonly asked: string[] = [];
  /** Pods that the API server cannot reach. */
  readonly unreachable = new Set<string>();
  /** Pods that take the connection and never answer. */
  readonly mute = new Set<string>();
  /** Without `get pods/proxy`. */
  isForbidden = false;
  /** Requests through the proxy that have no answer yet: now, and at most. */
  open = 0;
  mostOpen = 0;
  readonly #cluster: Cluster;
  readonly #parts = new Map<string, Part>();
  readonly #folder = mkdtempSync(join(tmpdir(), 'maesh-front-'));
  readonly #server = createServer((incoming, response) => this.#serve(incoming, response));

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  static async start(cluster: Cluster): Promise<Front> {
    const front = new Front(cluster);
    front.#server.listen(0, '127.0.0.1');
    await once(front.#server, 'listening');
    return front;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** A kubeconfig that leads here, with `shop` as the namespace of its context. */
  get kubeconfig(): string {
    const path = join(this.#folder, 'config');
    const config = {
      'current-context': 'x',
      contexts: [{ name: 'x', context: { cluster: 'x', user: 'x', namespace: 'shop' } }],
      clusters: [{ name: 'x', cluster: { server: this.url } }],
      users: [{ name: 'x', user: {} }],
    };
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }

  /** What the kubelet writes of a Pod of the mesh, `agent n1/maesh-agent-x`; `part` is what runs in it. */
  addPod(what: string, part: Part): void {
    const [component = '', node = '', name = ''] = what.split(/[ /]/);
    this.#parts.set(name, part);
    this.#cluster.api.set('v1/pods', {
      metadata: { name, namespace: 'maesh', labels: labelsOf(component) },
      spec: { nodeName: node },
      status: {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    });
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
    rmSync(this.#folder, { recursive: true });
  }

  #serve(incoming: IncomingMessage, response: ServerResponse): void {
    const [, pod, path] = PROXY.exec(incoming.url ?? '') ?? [];
    const api = Number(new URL(this.#cluster.api.url).port);
    if (pod === undefined || path === undefined) {
      return forward(incoming, response, api, incoming.url ?? '/');
    }
    this.asked.push(`${pod} ${path}`);
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    response.on('close', () => (this.open -= 1));
    if (this.isForbidden) {
      const message = 'pods "x" is forbidden: User "u" cannot get resource "pods/proxy"';
      return refuse(response, 403, 'Forbidden', message);
    }
    const part = this.#parts.get(pod);
    if (this.mute.has(pod)) return;
    if (part === undefined || this.unreachable.has(pod)) {
      return refuse(response, 503, 'ServiceUnavailable', 'error trying to reach service: EOF');
    }
    forward(incoming, response, part.port('Serving health, metrics and the API'), path);
  }
}

function forward(
  incoming: IncomingMessage,
  response: ServerResponse,
  port: number,
  path: string,
): void {
  const { method = 'GET', headers } = incoming;
  const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false });
  outgoing.on('error', () => response.destroy());
  outgoing.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  incoming.pipe(outgoing);
}

function refuse(response: ServerResponse, status: number, reason: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(
    JSON.stringify({ kind: 'Status', status: 'Failure', code: status, reason, message }),
  );
}
