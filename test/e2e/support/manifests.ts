/** Kubernetes objects for tests, and a folder of them on disk. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type Json = Readonly<Record<string, unknown>>;

export interface At {
  readonly address: string;
  readonly port: number;
}

export function service(key: string, port: number, more: { annotations?: Json; spec?: Json } = {}) {
  const { annotations = {}, spec = {} } = more;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...meta(key), annotations },
    spec: { ports: [{ name: 'http', port }], ...spec },
  };
}

/** One subset per endpoint, since their ports differ. */
export function endpoints(key: string, all: readonly At[]) {
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: meta(key),
    subsets: all.map(({ address, port }) => ({
      addresses: [{ ip: address }],
      ports: [{ name: 'http', port }],
    })),
  };
}

export interface PodOptions {
  readonly labels?: Json;
  readonly node?: string;
  readonly ready?: boolean;
  /** Named container ports. */
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
}

export function pod(key: string, ip: string, options: PodOptions = {}) {
  const { labels = {}, node = '', ready = true, ports = [] } = options;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...meta(key), labels },
    spec: { nodeName: node, containers: [{ name: 'main', image: 'example', ports }] },
    status: {
      phase: 'Running',
      podIP: ip,
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  };
}

function meta(key: string): { namespace: string; name: string } {
  const [namespace = '', name = ''] = key.split('/');
  return { namespace, name };
}

/** JSON is YAML, so objects go into .yaml files as they are. */
export function yaml(...objects: readonly object[]): string {
  return objects.map((object) => `${JSON.stringify(object)}\n`).join('---\n');
}

/** A temporary folder; remove it in the end. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'maesh-e2e-'));

  write(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text);
    return path;
  }

  /** Writes objects as a YAML stream. */
  put(name: string, ...objects: readonly object[]): string {
    return this.write(name, yaml(...objects));
  }

  delete(name: string): void {
    rmSync(join(this.path, name));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
