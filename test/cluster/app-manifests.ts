/** Objects for the test app: a Deployment with its Service, single pods that call, and load generators. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoadResult, LoadSpec } from './app.ts';
import type { Bed } from './bed/bed.ts';
import type { PodName } from './bed/ground.ts';
import { APP_FILES, kubernetesMinor } from './bed/tools.ts';

export interface AppOptions {
  readonly namespace: string;
  readonly name: string;
  readonly replicas?: number;
  /** Told in each answer; part of the image's tag, so that a change rolls the pods. */
  readonly version?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Labels of the pods beside `app: NAME`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** How long a pod goes on when it is to end, so that callers hear of it first; default 5 s. */
  readonly preStopSeconds?: number;
  readonly node?: string;
  readonly serviceAnnotations?: Readonly<Record<string, string>>;
  /** Fields of the Service's spec that go over the default: `trafficDistribution`, `clusterIP: None`. */
  readonly service?: object;
  readonly serviceAccount?: string;
  /** The Service has a port for HTTP/2 and gRPC as well (81), and its other one (90) is TCP in the mesh, too. */
  readonly hasWays?: boolean;
}

export const APP_PORT = 8_080;
const HTTP2_PORT = 8_081;
export const TCP_PORT = 9_090;
/** Ports of a Service with all ways. */
export const WAY_PORTS = { http2Port: 81, tcpPort: 90 } as const;

const EXTERNAL = process.env['MAESH_TEST_EXTERNAL'] === '1';
/** Where there is no image of the test app, Node's own with the app from a ConfigMap does. */
const EXTERNAL_IMAGE = process.env['MAESH_TEST_APP_IMAGE'] ?? 'node:26-slim';
const CONFIG_MAP = 'test-app';
/** From here on a kubelet can wait without a process in the container. */
const SLEEP_MINOR = 30;

/** What Pod Security *restricted* asks for. */
export const RESTRICTED = {
  pod: {
    runAsNonRoot: true,
    runAsUser: 65_532,
    runAsGroup: 65_532,
    seccompProfile: { type: 'RuntimeDefault' },
  },
  container: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  },
} as const;

/** Namespace, and what the apps in it need. */
export function namespaceObjects(
  name: string,
  labels: Readonly<Record<string, string>> = {},
): readonly object[] {
  const script = (file: string): string => readFileSync(join(import.meta.dirname, file), 'utf8');
  const config = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: CONFIG_MAP, namespace: name },
    data: Object.fromEntries(APP_FILES.map((file) => [file, script(file)])),
  };
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
    ...(EXTERNAL ? [config] : []),
  ];
}

const HTTP2 = {
  name: 'http2',
  port: WAY_PORTS.http2Port,
  targetPort: 'http2',
  appProtocol: 'kubernetes.io/h2c',
} as const;

/** A Deployment and a Service with ports `http` (80) and `echo` (90). */
export function appObjects(options: AppOptions): readonly object[] {
  const { namespace, name, replicas = 1, labels = {}, serviceAnnotations = {} } = options;
  const { hasWays = false } = options;
  const selector = { app: name };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace },
      spec: {
        replicas,
        selector: { matchLabels: selector },
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
        template: {
          metadata: { labels: { ...selector, ...labels } },
          spec: {
            ...podSpec(options, 'serve'),
            topologySpreadConstraints: [
              {
                maxSkew: 1,
                topologyKey: 'kubernetes.io/hostname',
                whenUnsatisfiable: 'ScheduleAnyway',
                labelSelector: { matchLabels: selector },
              },
            ],
          },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, annotations: serviceAnnotations },
      spec: {
        selector,
        ports: [
          { name: 'http', port: 80, targetPort: 'http' },
          { name: 'echo', port: 90, targetPort: 'tcp', ...(hasWays ? { appProtocol: 'tcp' } : {}) },
          ...(hasWays ? [HTTP2] : []),
        ],
        ...options.service,
      },
    },
  ];
}

/** A pod of its own, to call from; with `node`, on that node. */
export function callerPod(options: AppOptions): object {
  const { namespace, name, labels = {} } = options;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name, ...labels } },
    spec: podSpec({ preStopSeconds: 0, ...options }, 'serve'),
  };
}

function podSpec(options: AppOptions, ...args: readonly string[]): object {
  const { name, version = '1', env = {}, node, preStopSeconds = 5, serviceAccount } = options;
  const field = (variable: string, fieldPath: string): object => ({
    name: variable,
    valueFrom: { fieldRef: { fieldPath } },
  });
  return {
    ...(node === undefined ? {} : { nodeSelector: { 'kubernetes.io/hostname': node } }),
    ...(serviceAccount === undefined ? {} : { serviceAccountName: serviceAccount }),
    securityContext: RESTRICTED.pod,
    terminationGracePeriodSeconds: 30,
    ...(EXTERNAL ? { volumes: [{ name: 'app', configMap: { name: CONFIG_MAP } }] } : {}),
    containers: [
      {
        name,
        image: EXTERNAL ? EXTERNAL_IMAGE : `test/app:${version}`,
        ...(EXTERNAL
          ? {
              command: ['node', '/app/app.ts'],
              volumeMounts: [{ name: 'app', mountPath: '/app', readOnly: true }],
            }
          : {}),
        args,
        env: [
          field('POD_NAME', 'metadata.name'),
          field('POD_NAMESPACE', 'metadata.namespace'),
          field('NODE_NAME', 'spec.nodeName'),
          { name: 'VERSION', value: version },
          ...Object.entries(env).map(([variable, value]) => ({ name: variable, value })),
        ],
        ports: [
          { name: 'http', containerPort: APP_PORT },
          { name: 'http2', containerPort: HTTP2_PORT },
          { name: 'tcp', containerPort: TCP_PORT },
        ],
        ...(args[0] === 'serve'
          ? { readinessProbe: { httpGet: { path: '/readyz', port: 'http' }, periodSeconds: 1 } }
          : {}),
        ...(preStopSeconds === 0 ? {} : { lifecycle: { preStop: wait(preStopSeconds) } }),
        securityContext: RESTRICTED.container,
      },
    ],
  };
}

function wait(seconds: number): object {
  if (kubernetesMinor() >= SLEEP_MINOR) return { sleep: { seconds } };
  return { exec: { command: ['node', '-e', `setTimeout(() => {}, ${seconds * 1_000})`] } };
}

export interface LoadOptions {
  readonly namespace: string;
  readonly name: string;
  readonly node?: string;
  readonly spec: LoadSpec;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A pod that calls all the time and counts. */
export class Load {
  readonly pod: PodName;
  readonly #bed: Bed;

  private constructor(bed: Bed, pod: PodName) {
    this.#bed = bed;
    this.pod = pod;
  }

  /** Resolves once requests succeed. */
  static async start(bed: Bed, options: LoadOptions): Promise<Load> {
    const { namespace, name, node, spec, labels = {} } = options;
    const app = { namespace, name, preStopSeconds: 0, ...(node === undefined ? {} : { node }) };
    await bed.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, labels: { app: name, ...labels } },
      spec: { ...podSpec(app, 'load', JSON.stringify(spec)), restartPolicy: 'Never' },
    });
    const load = new Load(bed, `${namespace}/${name}`);
    await bed.waitFor(`${load.pod} to have success`, async () => (await load.progress()).ok > 0);
    return load;
  }

  /** Counts so far, told every second. */
  async progress(): Promise<{ readonly ok: number; readonly failed: number }> {
    const lines = (await this.#bed.logs(this.pod)).trimEnd().split('\n');
    return JSON.parse(lines.at(-1) ?? '') as { ok: number; failed: number };
  }

  /** Waits until so many more have succeeded: what was done meanwhile was done under load. */
  async more(count: number): Promise<void> {
    const { ok } = await this.progress();
    const question = async (): Promise<boolean> => (await this.progress()).ok >= ok + count;
    await this.#bed.waitFor(`${count} more requests of ${this.pod}`, question);
  }

  /** Ends it, removes the pod, and gives what was counted. */
  async stop(): Promise<LoadResult> {
    await this.#bed.killProcess(this.pod, 'SIGTERM');
    const result = await this.#bed.waitFor(`the result of ${this.pod}`, async () => {
      const last = (await this.#bed.logs(this.pod)).trimEnd().split('\n').at(-1) ?? '';
      const parsed = JSON.parse(last) as LoadResult | { progress: true };
      return 'progress' in parsed ? undefined : parsed;
    });
    const [namespace = '', name = ''] = this.pod.split('/');
    await this.#bed.kubectl(['-n', namespace, 'delete', 'pod', name, '--wait=false']);
    return result;
  }
}
