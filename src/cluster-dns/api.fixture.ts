/** An API server in memory for the cluster DNS: versions, preconditions, merge patches and refusals as the real one has them. */

import assert from 'node:assert/strict';

import { ApiError } from '../kube/api/api-error.ts';
import type { Api } from '../kube/api/api.ts';
import { rawObjects } from './facts.fixture.ts';

type Raw = Record<string, unknown>;
type Ask = Parameters<Api['request']>[0];

export class Refusal extends ApiError {
  constructor(status: number, detail = '') {
    super('Cannot test', { status, reason: '', detail, causes: [], retryAfterMs: 0 });
  }
}

const FOLDERS: Readonly<Record<string, string>> = {
  Service: '/api/v1/namespaces/NS/services',
  Deployment: '/apis/apps/v1/namespaces/NS/deployments',
  DaemonSet: '/apis/apps/v1/namespaces/NS/daemonsets',
  ConfigMap: '/api/v1/namespaces/NS/configmaps',
};

export class FakeApi implements Api {
  /** Path to object, as JSON text: nobody can change what they were given. */
  readonly #objects = new Map<string, string>();
  readonly asks: string[] = [];
  /** Runs before each request; throws to refuse it. */
  before: (ask: Ask) => void | Promise<void> = () => undefined;
  #version = 100;

  constructor(platform: string) {
    for (const raw of rawObjects(platform)) {
      const folder = FOLDERS[String(raw['kind'])] ?? '';
      const { name, namespace } = raw['metadata'] as { name: string; namespace: string };
      this.#objects.set(`${folder.replace('NS', namespace)}/${name}`, JSON.stringify(raw));
    }
  }

  get writes(): readonly string[] {
    return this.asks.filter((ask) => !ask.startsWith('GET'));
  }

  data(name: string, namespace = 'kube-system'): Readonly<Record<string, string>> | null {
    const text = this.#objects.get(`/api/v1/namespaces/${namespace}/configmaps/${name}`);
    return text === undefined
      ? null
      : ((JSON.parse(text) as Raw)['data'] as Record<string, string>);
  }

  /** What somebody else writes. */
  edit(name: string, change: (data: Record<string, string>) => Record<string, string>): void {
    const path = `/api/v1/namespaces/kube-system/configmaps/${name}`;
    const raw = JSON.parse(this.#objects.get(path) ?? '{}') as Raw;
    this.#put(path, { ...raw, data: change({ ...(raw['data'] as Record<string, string>) }) });
  }

  /** The ConfigMaps of `kube-system` without their versions. */
  configMaps(): Readonly<Record<string, unknown>> {
    const found: Record<string, unknown> = {};
    for (const [path, text] of this.#objects) {
      if (!path.startsWith('/api/v1/namespaces/kube-system/configmaps/')) continue;
      const raw = JSON.parse(text) as { metadata: Raw; data: unknown };
      const annotations = (raw.metadata['annotations'] ?? {}) as Raw;
      found[path] = { data: raw.data, annotations };
    }
    return found;
  }

  async request(ask: Ask): Promise<unknown> {
    this.asks.push(`${ask.method} ${ask.path}`);
    await this.before(ask);
    await Promise.resolve();
    const text = this.#objects.get(ask.path);
    if (ask.method === 'GET') return this.#get(ask, text);
    if (ask.method === 'POST') return this.#create(ask);
    if (text === undefined) throw new Refusal(404);
    return ask.method === 'PATCH' ? this.#patch(ask, text) : this.#delete(ask, text);
  }

  #create(ask: Ask): unknown {
    const body = ask.body as Raw & { metadata: { name: string } };
    const path = `${ask.path}/${body.metadata.name}`;
    if (this.#objects.has(path)) throw new Refusal(409);
    return this.#put(path, body);
  }

  #patch(ask: Ask, text: string): unknown {
    assert.equal(ask.contentType, 'application/merge-patch+json');
    const patch = ask.body as Raw & { metadata: Raw };
    const old = JSON.parse(text) as Raw & { metadata: Raw };
    const version = patch.metadata['resourceVersion'];
    assert.ok(typeof version === 'string' && version !== '');
    if (version !== old.metadata['resourceVersion']) throw new Refusal(409);
    return this.#put(ask.path, merged(old, patch) as Raw);
  }

  #delete(ask: Ask, text: string): unknown {
    const { preconditions } = (ask.body ?? {}) as { preconditions?: Raw };
    const { metadata } = JSON.parse(text) as { metadata: Raw };
    const isStale =
      preconditions !== undefined &&
      preconditions['resourceVersion'] !== metadata['resourceVersion'];
    if (isStale) throw new Refusal(409);
    this.#objects.delete(ask.path);
    return {};
  }

  /** Lists come in pages of one, so that paging is always in use. */
  #get(ask: Ask, text: string | undefined): unknown {
    if (text !== undefined) return JSON.parse(text);
    if (ask.query?.['limit'] === undefined) throw new Refusal(404);
    const items = [...this.#objects]
      .filter(([path]) => path.startsWith(`${ask.path}/`))
      .map(([, item]) => JSON.parse(item) as unknown);
    const at = Number(ask.query['continue'] ?? 0);
    const next = at + 1 < items.length ? String(at + 1) : '';
    return { metadata: { continue: next }, items: items.slice(at, at + 1) };
  }

  #put(path: string, raw: Raw): Raw {
    this.#version += 1;
    const metadata = { ...(raw['metadata'] as Raw), resourceVersion: String(this.#version) };
    const stored = { ...raw, metadata };
    this.#objects.set(path, JSON.stringify(stored));
    return stored;
  }
}

/** RFC 7386. */
function merged(old: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const base = typeof old === 'object' && old !== null ? { ...(old as Raw) } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete base[key];
    else base[key] = merged(base[key], value);
  }
  return base;
}
