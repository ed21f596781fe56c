/**
 * Volumes of a pod as folders. Those that follow an object change as with the real kubelet: all files in a folder of
 * their own, and one symbolic link `..data` that is renamed over the old one.
 */

import { chmodSync, chownSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Api, KubeObject } from '../api.ts';
import { fieldOf } from './env.ts';
import {
  type DownwardSource,
  type FileSource,
  type Pod,
  PodError,
  type ProjectedSource,
  type TokenSource,
  type Volume,
} from './types.ts';

/** A ConfigMap or Secret; the data of Secrets and binaryData are base64. */
export interface DataObject extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
}

export interface VolumeContext {
  readonly api: Api;
  readonly pod: () => Pod;
  readonly folder: string;
  /** Stands for the root folder of the node, for hostPath. */
  readonly nodeRoot: string;
  readonly podIps: readonly string[];
  readonly hostIp: string;
  find(kind: 'configMap' | 'secret', name: string): DataObject | undefined;
}

interface File {
  readonly data: Buffer;
  readonly mode: number;
}

interface Token {
  readonly value: string;
  readonly renewAtMs: number;
}

const DEFAULT_MODE = 0o644;
/** The real kubelet renews when 80 % of the time is over. */
const RENEW_AT = 0.8;

export class PodVolumes {
  readonly #context: VolumeContext;
  readonly #tokens = new Map<string, Token>();
  readonly #written = new Map<string, string>();
  #turn = 0;

  constructor(context: VolumeContext) {
    this.#context = context;
  }

  folderOf(name: string): string {
    const volume = this.#volumes().find((volume) => volume.name === name);
    if (volume === undefined) throw new PodError('FailedMount', `There is no volume "${name}"`);
    if (volume.hostPath !== undefined) return join(this.#context.nodeRoot, volume.hostPath.path);
    return join(this.#context.folder, name);
  }

  /** Makes all of them, or brings them up to date. A missing object is a PodError, to be tried again. */
  async refresh(): Promise<void> {
    for (const volume of this.#volumes()) {
      const { name, projected, configMap, secret, downwardAPI } = volume;
      if (volume.hostPath !== undefined) this.#hostPath(volume.hostPath);
      else if (volume.emptyDir !== undefined) this.#emptyDir(join(this.#context.folder, name));
      else {
        const defaultMode =
          (projected ?? configMap ?? secret ?? downwardAPI)?.defaultMode ?? DEFAULT_MODE;
        const sources: readonly ProjectedSource[] = projected?.sources ?? [
          {
            ...(configMap && { configMap }),
            ...(secret && { secret }),
            ...(downwardAPI && { downwardAPI }),
          },
        ];
        const files = new Map<string, File>();
        for (const source of sources) {
          await this.#read(name, source, defaultMode, (path, file) => files.set(path, file));
        }
        this.#publish(name, files);
      }
    }
  }

  /** True when a ConfigMap or Secret of this name is in one of them. */
  uses(kind: 'configMap' | 'secret', name: string): boolean {
    return this.#volumes().some((volume) =>
      [volume, ...(volume.projected?.sources ?? [])].some(
        (source) => (source[kind]?.secretName ?? source[kind]?.name) === name,
      ),
    );
  }

  /** True when a token is due; `refresh` then brings a new one. */
  get stale(): boolean {
    return [...this.#tokens.values()].some(({ renewAtMs }) => Date.now() >= renewAtMs);
  }

  #volumes(): readonly Volume[] {
    return this.#context.pod().spec.volumes ?? [];
  }

  get #fsGroup(): number | undefined {
    return this.#context.pod().spec.securityContext?.fsGroup;
  }

  #emptyDir(folder: string): void {
    if (existsSync(folder)) return;
    mkdirSync(folder, { recursive: true });
    if (this.#fsGroup !== undefined) chownSync(folder, 0, this.#fsGroup);
    chmodSync(folder, this.#fsGroup === undefined ? 0o777 : 0o2777);
  }

  #hostPath({ path, type = '' }: { readonly path: string; readonly type?: string }): void {
    const real = join(this.#context.nodeRoot, path);
    if (type === 'DirectoryOrCreate') mkdirSync(real, { recursive: true, mode: 0o755 });
    else if (type === '' || type === 'Directory' || type === 'File') {
      if (!existsSync(real)) throw new PodError('FailedMount', `hostPath "${path}" does not exist`);
    } else throw new PodError('FailedMount', `The test bed has no hostPath of type ${type}`);
  }

  async #read(
    volume: string,
    source: ProjectedSource,
    defaultMode: number,
    put: (path: string, file: File) => void,
  ): Promise<void> {
    const { configMap, secret, downwardAPI, serviceAccountToken } = source;
    if (configMap !== undefined) this.#data('configMap', configMap, defaultMode, put);
    if (secret !== undefined) this.#data('secret', secret, defaultMode, put);
    if (downwardAPI !== undefined) this.#downward(downwardAPI, defaultMode, put);
    if (serviceAccountToken !== undefined) {
      const value = await this.#token(volume, serviceAccountToken);
      put(serviceAccountToken.path, {
        data: Buffer.from(value),
        mode: this.#tokenMode(defaultMode),
      });
    }
  }

  #data(
    kind: 'configMap' | 'secret',
    source: FileSource,
    defaultMode: number,
    put: (path: string, file: File) => void,
  ): void {
    const name = source.secretName ?? source.name ?? '';
    const object = this.#context.find(kind, name);
    if (object === undefined) {
      if (source.optional === true) return;
      throw new PodError('FailedMount', `${kind} "${name}" not found`);
    }
    const all = new Map<string, Buffer>();
    const encoding = kind === 'secret' ? 'base64' : 'utf8';
    for (const [key, value] of Object.entries(object.data ?? {})) {
      all.set(key, Buffer.from(value, encoding));
    }
    for (const [key, value] of Object.entries(object.binaryData ?? {})) {
      all.set(key, Buffer.from(value, 'base64'));
    }
    const items =
      source.items ?? [...all.keys()].map((key) => ({ key, path: key, mode: undefined }));
    for (const { key, path, mode } of items) {
      const data = all.get(key);
      if (data !== undefined) put(path, { data, mode: mode ?? defaultMode });
      else if (source.optional !== true) {
        throw new PodError('FailedMount', `${kind} "${name}" has no key "${key}"`);
      }
    }
  }

  #downward(
    { items = [] }: DownwardSource,
    defaultMode: number,
    put: (path: string, file: File) => void,
  ): void {
    for (const { path, fieldRef, mode } of items) {
      if (fieldRef === undefined) {
        throw new PodError('FailedMount', 'The test bed has only fieldRef in downwardAPI volumes');
      }
      const text = fieldOf(fieldRef.fieldPath, { ...this.#context, pod: this.#context.pod() });
      put(path, { data: Buffer.from(text), mode: mode ?? defaultMode });
    }
  }

  async #token(
    volume: string,
    { audience, expirationSeconds = 3_600, path }: TokenSource,
  ): Promise<string> {
    const key = `${volume}/${path}`;
    const old = this.#tokens.get(key);
    if (old !== undefined && Date.now() < old.renewAtMs) return old.value;
    const { metadata, spec } = this.#context.pod();
    const account = spec.serviceAccountName ?? 'default';
    const review = await this.#context.api.create<{ status: { token: string } }>(
      `/api/v1/namespaces/${metadata.namespace}/serviceaccounts/${account}/token`,
      {
        spec: {
          ...(audience ? { audiences: [audience] } : {}),
          expirationSeconds,
          boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: metadata.name, uid: metadata.uid },
        },
      },
    );
    const renewAtMs = Date.now() + expirationSeconds * 1_000 * RENEW_AT;
    this.#tokens.set(key, { value: review.status.token, renewAtMs });
    return review.status.token;
  }

  /** A token is for the pod's user alone where there is one, as kubelet has it. */
  #tokenMode(defaultMode: number): number {
    if (this.#fsGroup !== undefined) return 0o640;
    return this.#owner() === undefined ? defaultMode : 0o600;
  }

  #owner(): number | undefined {
    const { spec } = this.#context.pod();
    const users = new Set(
      spec.containers.map(
        ({ securityContext }) => securityContext?.runAsUser ?? spec.securityContext?.runAsUser,
      ),
    );
    return users.size === 1 ? [...users][0] : undefined;
  }

  #publish(name: string, files: ReadonlyMap<string, File>): void {
    const print = JSON.stringify(
      [...files].map(([path, { data, mode }]) => [path, mode, data.toString('base64')]),
    );
    if (this.#written.get(name) === print) return;
    const folder = join(this.#context.folder, name);
    const version = `..${Date.now()}_${this.#turn++}`;
    mkdirSync(join(folder, version), { recursive: true, mode: 0o755 });
    chmodSync(folder, 0o755);
    for (const [path, { data, mode }] of files) {
      const file = join(folder, version, path);
      mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
      writeFileSync(file, data);
      const group = this.#fsGroup;
      chmodSync(file, group === undefined ? mode : mode | ((mode & 0o400) >> 3));
      const owner = mode === 0o600 ? (this.#owner() ?? 0) : 0;
      if (group !== undefined || owner !== 0) chownSync(file, owner, group ?? 0);
    }
    symlinkSync(version, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    const tops = new Set([...files.keys()].map((path) => path.split('/')[0] ?? ''));
    for (const entry of readdirSync(folder)) {
      const old = entry.startsWith('..')
        ? entry !== '..data' && entry !== version
        : !tops.has(entry);
      if (old) rmSync(join(folder, entry), { recursive: true });
    }
    for (const top of tops) {
      if (!readdirSync(folder).includes(top)) symlinkSync(`..data/${top}`, join(folder, top));
    }
    this.#written.set(name, print);
  }
}
