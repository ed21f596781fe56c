/** Reads the shop's manifests the way a container runtime would: which Pods run where, with which arguments. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';

export interface ShopPod {
  readonly name: string;
  readonly namespace: string;
  readonly ip: string;
  /** 0 when no container listens: the Pod only calls. */
  readonly port: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly args: readonly string[];
}

export interface ShopService {
  readonly name: string;
  readonly namespace: string;
  readonly port: number;
  /** What its first port says it speaks, or ''. */
  readonly appProtocol: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly pods: readonly ShopPod[];
}

export interface Shop {
  /** In the order of the files and of the documents in them. */
  readonly pods: readonly ShopPod[];
  readonly services: readonly ShopService[];
}

interface RawObject {
  readonly kind?: string;
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  readonly spec?: {
    readonly selector?: Record<string, string>;
    readonly ports?: readonly { readonly port?: number; readonly appProtocol?: string }[];
    readonly containers?: readonly {
      readonly args?: readonly string[];
      readonly ports?: readonly { readonly containerPort?: number }[];
    }[];
  };
  readonly status?: { readonly podIP?: string };
}

/** All Pods and Services of the YAML files in a folder. Throws where a file is not YAML. */
export function readShop(folder: string): Shop {
  const objects = readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .flatMap((file) => readObjects(join(folder, file)));
  const pods = objects.filter((object) => object.kind === 'Pod').map(toPod);
  const services = objects
    .filter((object) => object.kind === 'Service')
    .map((object) => toService(object, pods));
  return { pods, services };
}

function readObjects(file: string): RawObject[] {
  const objects = loadAll(readFileSync(file, 'utf8'), { filename: file });
  return objects.map((object) => (object ?? {}) as RawObject);
}

function toPod(object: RawObject): ShopPod {
  const container = object.spec?.containers?.[0];
  return {
    name: object.metadata?.name ?? '',
    namespace: object.metadata?.namespace ?? 'default',
    ip: object.status?.podIP ?? '',
    port: container?.ports?.[0]?.containerPort ?? 0,
    labels: object.metadata?.labels ?? {},
    annotations: object.metadata?.annotations ?? {},
    args: container?.args ?? [],
  };
}

function toService(object: RawObject, pods: readonly ShopPod[]): ShopService {
  const selector = Object.entries(object.spec?.selector ?? {});
  const namespace = object.metadata?.namespace ?? 'default';
  return {
    name: object.metadata?.name ?? '',
    namespace,
    port: object.spec?.ports?.[0]?.port ?? 0,
    appProtocol: object.spec?.ports?.[0]?.appProtocol ?? '',
    annotations: object.metadata?.annotations ?? {},
    pods: pods.filter(
      (pod) =>
        pod.namespace === namespace && selector.every(([key, value]) => pod.labels[key] === value),
    ),
  };
}
