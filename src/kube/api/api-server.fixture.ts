/** An API server for tests: real HTTP, real list, watch and history; what goes wrong is up to the test. */

import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Connection } from './connection.ts';
import { refuse, reply, timeAfter, refusalFor } from './fake-answers.fixture.ts';
import type { Answer } from './fake-answers.fixture.ts';
import { apply, isIn, keyOf, merge, parsePath, withClusterIp } from './fake-objects.fixture.ts';
import type { FakeObject, Labels, Target } from './fake-objects.fixture.ts';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

interface HistoryEntry {
  readonly version: number;
  /** `v1/services`, `discovery.k8s.io/v1/endpointslices`. */
  readonly collection: string;
  readonly before: FakeObject | null;
  readonly now: FakeObject | null;
}

interface Write {
  readonly method: string;
  readonly target: Target;
  readonly body: FakeObject;
  readonly query: URLSearchParams;
  /** Server-side apply; other patches are RFC 7386. */
  readonly isApply: boolean;
}

interface Watcher {
  readonly target: Target;
  readonly query: URLSearchParams;
  readonly response: ServerResponse;
}

const SERVED = [
  'v1/namespaces',
  'v1/nodes',
  'v1/pods',
  'v1/services',
  'v1/endpoints',
  'v1/serviceaccounts',
  'v1/configmaps',
  'v1/secrets',
  'v1/events',
  'discovery.k8s.io/v1/endpointslices',
  'coordination.k8s.io/v1/leases',
  'authentication.k8s.io/v1/tokenreviews',
];
const APPLY = 'application/apply-patch+yaml';

export interface FakeApiServerOptions {
  /** PEM; then it speaks https. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** Start it with `FakeApiServer.start()`, and `stop()` it in any case. */
export class FakeApiServer {
  readonly requests: SeenRequest[] = [];
  /** Collections that exist; others are 404. */
  readonly served = new Set(SERVED);
  /** Collections that nobody may read. */
  readonly forbidden = new Set<string>();
  /** Tokens that are let in; null lets in everybody. */
  tokens: Set<string> | null = null;
  /** What a TokenReview says of a token, as its `status`; any other one is not authenticated. */
  readonly reviews = new Map<string, unknown>();
  version = '1.36.3';
  /** How a watch says that its version is too old. */
  goneAs: 'event' | 'status' = 'event';
  /** Events are sent in pieces of this many bytes; 0 sends them whole. */
  pieceBytes = 0;
  /** Answers for the next requests, first come first served. */
  readonly answers: Answer[] = [];
  /** Called with each list page before it is sent. */
  onPage: (() => void) | null = null;
  /** Requests from now on get no answer at all. */
  isMute = false;
  readonly #options: FakeApiServerOptions;
  readonly #objects = new Map<string, Map<string, FakeObject>>();
  readonly #watchers = new Set<Watcher>();
  readonly #sockets = new Set<Socket>();
  readonly #pages = new Map<number, readonly FakeObject[]>();
  /** What a manager applied last, by object and manager. */
  readonly #applied = new Map<string, FakeObject>();
  #history: HistoryEntry[] = [];
  #version = 1_000;
  #compacted = 0;
  #uids = 0;
  #addresses = 0;
  #server: Server | null = null;
  #port = 0;

  private constructor(options: FakeApiServerOptions) {
    this.#options = options;
  }

  static async start(options: FakeApiServerOptions = {}): Promise<FakeApiServer> {
    const server = new FakeApiServer(options);
    await server.up();
    return server;
  }

  get url(): string {
    return `${this.#options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  /** To give to a `KubeClient`, with no credentials. */
  connection(overrides: Partial<Connection> = {}): Connection {
    return {
      server: this.url,
      namespace: 'default',
      origin: 'a test',
      access: async () => ({ headers: {}, tls: {} }),
      forget: () => undefined,
      ...overrides,
    };
  }

  // What the cluster does

  set(collection: string, object: FakeObject): FakeObject {
    const objects = this.#collection(collection);
    const key = keyOf(object);
    const before = objects.get(key) ?? null;
    this.#version += 1;
    const now = {
      ...object,
      metadata: {
        ...object.metadata,
        uid: before?.metadata.uid ?? `uid-${++this.#uids}`,
        creationTimestamp: before?.metadata.creationTimestamp ?? timeAfter(this.#uids),
        resourceVersion: String(this.#version),
      },
    };
    objects.set(key, now);
    this.#record({ version: this.#version, collection, before, now });
    return now;
  }

  remove(collection: string, namespace: string, name: string): boolean {
    const objects = this.#collection(collection);
    const before = objects.get(`${namespace}/${name}`);
    if (before === undefined) return false;
    this.#version += 1;
    objects.delete(`${namespace}/${name}`);
    this.#record({ version: this.#version, collection, before, now: null });
    return true;
  }

  objects(collection: string): readonly FakeObject[] {
    return [...this.#collection(collection).values()];
  }

  /** Forgets the history: older versions and continue tokens are Gone. Open watches go on. */
  compact(): void {
    this.#compacted = this.#version;
    this.#history = [];
    this.#pages.clear();
  }

  /** As after a restore from a backup: versions begin below those that clients know. */
  rewind(version: number): void {
    this.#version = version;
    this.compact();
  }

  bookmark(): void {
    for (const watcher of this.#watchers) {
      if (watcher.query.get('allowWatchBookmarks') !== 'true') continue;
      const object = { kind: 'Bookmark', metadata: { resourceVersion: String(this.#version) } };
      this.#send(watcher, { type: 'BOOKMARK', object });
    }
  }

  /** Sends this line to all watches, whatever it is. */
  sendLine(text: string): void {
    for (const { response } of this.#watchers) response.write(text);
  }

  /** Ends all watches as a server does whose time for them is over. */
  endWatches(): void {
    for (const { response } of this.#watchers) response.end();
    this.#watchers.clear();
  }

  /** Cuts the connections of all watches, in the middle of an event when `half`. */
  cutWatches(half = false): void {
    for (const { response } of this.#watchers) {
      if (half) response.write('{"type":"ADDED","object":{"metad');
      response.socket?.destroySoon();
    }
    this.#watchers.clear();
  }

  /** Refuses connections and cuts those that are open. */
  async down(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    this.#watchers.clear();
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    for (const socket of this.#sockets) socket.destroy();
    await promise;
  }

  /** Listens, where it did before if it did. */
  async up(): Promise<void> {
    if (this.#server !== null) return;
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    };
    const { tls } = this.#options;
    const server = tls === undefined ? createHttpServer(handle) : createHttpsServer(tls, handle);
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(this.#port, '127.0.0.1', () => resolve());
    await promise;
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  stop(): Promise<void> {
    return this.down();
  }

  // Requests

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fake');
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    const { method = 'GET', headers } = request;
    const seen = { method, path: url.pathname, query: url.searchParams, headers, body };
    this.requests.push(seen);
    if (this.isMute) return;
    const token = (headers.authorization ?? '').replace('Bearer ', '');
    const answer =
      this.tokens === null || this.tokens.has(token)
        ? this.answers.shift()
        : { status: 401, reason: 'Unauthorized', message: 'Unauthorized' };
    if (answer === undefined) this.#route(seen, response);
    else refuse(response, answer);
  }

  #route({ method, path, query, body, headers }: SeenRequest, response: ServerResponse): void {
    if (path === '/version') {
      const [major, minor] = this.version.split('.');
      return reply(response, 200, { major, minor, gitVersion: `v${this.version}` });
    }
    const listed = /^\/apis\/(?<group>[^/]+)(\/(?<version>[^/]+))?$/.exec(path)?.groups;
    if (listed !== undefined) return this.#tell(listed, response);
    const target = parsePath(path);
    if (target === null || !this.served.has(target.collection)) {
      return refuse(response, { status: 404, message: 'the server could not find the resource' });
    }
    if (this.forbidden.has(target.collection)) {
      const message = `${target.collection} is forbidden`;
      return refuse(response, { status: 403, reason: 'Forbidden', message });
    }
    if (method !== 'GET') {
      const isApply = headers['content-type'] === APPLY;
      const write = { method, target, body: (body ?? {}) as FakeObject, query, isApply };
      return this.#write(write, response);
    }
    if (target.name !== '') return this.#get(target, response);
    if (query.get('watch') === 'true') return this.#watch({ target, query, response });
    this.#list(target, query, response);
  }

  /** What is in a group, or in a version of it. */
  #tell({ group = '', version = '' }: Partial<Labels>, response: ServerResponse): void {
    if (version === '') this.#serveGroup(group, response);
    else this.#serveVersion(`${group}/${version}`, response);
  }

  #serveGroup(name: string, response: ServerResponse): void {
    const versions = new Set<string>();
    for (const collection of this.served) {
      const [group, version] = collection.split('/');
      if (group === name && version !== undefined) versions.add(version);
    }
    if (versions.size === 0) return refuse(response, { status: 404, reason: 'NotFound' });
    reply(response, 200, {
      kind: 'APIGroup',
      name,
      versions: [...versions].map((version) => ({ groupVersion: `${name}/${version}`, version })),
    });
  }

  #serveVersion(groupVersion: string, response: ServerResponse): void {
    const names = [...this.served]
      .filter((collection) => collection.startsWith(`${groupVersion}/`))
      .map((collection) => collection.slice(groupVersion.length + 1));
    if (names.length === 0) return refuse(response, { status: 404, reason: 'NotFound' });
    const resources = names.map((name) => ({ name }));
    reply(response, 200, { kind: 'APIResourceList', groupVersion, resources });
  }

  #get(target: Target, response: ServerResponse): void {
    const object = this.#collection(target.collection).get(`${target.namespace}/${target.name}`);
    if (object === undefined) return refuse(response, { status: 404, reason: 'NotFound' });
    reply(response, 200, object);
  }

  #review(review: FakeObject, response: ServerResponse): void {
    const { token } = review['spec'] as { readonly token: string };
    reply(response, 201, {
      ...review,
      status: this.reviews.get(token) ?? { authenticated: false },
    });
  }

  #write(write: Write, response: ServerResponse): void {
    const { method, target, body, isApply } = write;
    const { collection, namespace } = target;
    if (collection.endsWith('/tokenreviews')) return this.#review(body, response);
    const metadata = body.metadata ?? { name: '' };
    const name = target.name === '' ? metadata.name : target.name;
    const before = this.#collection(collection).get(`${namespace}/${name}`);
    const refusal = refusalFor(method, { before, metadata, isApply });
    if (refusal !== null) return refuse(response, refusal);
    if (method === 'DELETE') return this.#delete(target, body, response);
    const whole = method === 'PATCH' ? this.#patched(before, write) : body;
    const place = { name, ...(namespace === '' ? {} : { namespace }) };
    const placed = { ...whole, metadata: { ...whole.metadata, ...place } };
    const now =
      collection === 'v1/services' ? withClusterIp(placed, () => ++this.#addresses) : placed;
    reply(response, method === 'POST' ? 201 : 200, this.set(collection, now));
  }

  #patched(before: FakeObject | undefined, { target, body, query, isApply }: Write): FakeObject {
    if (!isApply) return merge(before ?? {}, body) as FakeObject;
    const { collection, namespace, name } = target;
    const key = [collection, namespace, name, query.get('fieldManager')].join(' ');
    // An object that is new has nothing of what was applied to one before it.
    const last = before === undefined ? undefined : this.#applied.get(key);
    this.#applied.set(key, body);
    return apply(before, last, body) as FakeObject;
  }

  #delete(target: Target, body: FakeObject, response: ServerResponse): void {
    const { collection, namespace, name } = target;
    const { metadata } = this.#collection(collection).get(`${namespace}/${name}`) ?? {};
    const { uid, resourceVersion } = (body['preconditions'] ?? {}) as Labels;
    const isOther =
      (uid ?? metadata?.uid) !== metadata?.uid ||
      (resourceVersion ?? metadata?.resourceVersion) !== metadata?.resourceVersion;
    if (isOther) return refuse(response, { status: 409, reason: 'Conflict' });
    this.remove(collection, namespace, name);
    reply(response, 200, { kind: 'Status', status: 'Success' });
  }

  #list(target: Target, query: URLSearchParams, response: ServerResponse): void {
    this.onPage?.();
    const limit = Number(query.get('limit') ?? 0);
    const token = query.get('continue');
    let version = this.#version;
    let from = 0;
    if (token !== null) [version = 0, from = 0] = token.split(':').map(Number);
    if (token !== null && version < this.#compacted) {
      return refuse(response, { status: 410, reason: 'Expired', message: 'the token is too old' });
    }
    const all =
      (token === null ? undefined : this.#pages.get(version)) ??
      [...this.#collection(target.collection).values()]
        .filter((object) => isIn(object, target, query))
        .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    const end = limit === 0 ? all.length : Math.min(all.length, from + limit);
    if (end < all.length) this.#pages.set(version, all);
    reply(response, 200, {
      kind: 'List',
      metadata: {
        resourceVersion: String(version),
        ...(end < all.length ? { continue: `${version}:${end}` } : {}),
      },
      items: all.slice(from, end),
    });
  }

  #watch(watcher: Watcher): void {
    const { response, query } = watcher;
    const version = Number(query.get('resourceVersion') ?? 0);
    const gone = { status: 410, reason: 'Expired', message: 'too old resource version' };
    if (version < this.#compacted && this.goneAs === 'status') return refuse(response, gone);
    if (version > this.#version) {
      const details = { causes: [{ reason: 'ResourceVersionTooLarge', message: 'too large' }] };
      return reply(response, 504, { kind: 'Status', code: 504, reason: 'Timeout', details });
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (version < this.#compacted) {
      const object = { kind: 'Status', code: gone.status, ...gone, status: 'Failure' };
      this.#send(watcher, { type: 'ERROR', object });
      response.end();
      return;
    }
    this.#watchers.add(watcher);
    response.on('close', () => this.#watchers.delete(watcher));
    for (const entry of this.#history) if (entry.version > version) this.#notify(watcher, entry);
  }

  #record(entry: HistoryEntry): void {
    this.#history.push(entry);
    for (const watcher of this.#watchers) this.#notify(watcher, entry);
  }

  /** An object that comes into a selection is ADDED, and one that leaves it DELETED. */
  #notify(watcher: Watcher, { version, collection, before, now }: HistoryEntry): void {
    if (collection !== watcher.target.collection) return;
    const wasIn = before !== null && isIn(before, watcher.target, watcher.query);
    const isNow = now !== null && isIn(now, watcher.target, watcher.query);
    if (isNow) this.#send(watcher, { type: wasIn ? 'MODIFIED' : 'ADDED', object: now });
    if (isNow || !wasIn) return;
    const metadata = { ...before.metadata, resourceVersion: String(version) };
    this.#send(watcher, { type: 'DELETED', object: { ...before, metadata } });
  }

  #send({ response }: Watcher, event: unknown): void {
    const bytes = Buffer.from(`${JSON.stringify(event)}\n`);
    const size = this.pieceBytes === 0 ? bytes.length : this.pieceBytes;
    for (let at = 0; at < bytes.length; at += size) response.write(bytes.subarray(at, at + size));
  }

  #collection(name: string): Map<string, FakeObject> {
    let objects = this.#objects.get(name);
    if (objects === undefined) this.#objects.set(name, (objects = new Map()));
    return objects;
  }
}

/** Lets sockets and promises go on until it is so; fails when it does not become so. */
export async function until(isSo: () => boolean, what = String(isSo)): Promise<void> {
  for (let turns = 0; turns < 200_000; turns++) {
    if (isSo()) return;
    await nextTurn();
  }
  throw new Error(`It did not happen: ${what}`);
}
