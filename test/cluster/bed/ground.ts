/** What a cluster must offer to tests, be it the one that the bed makes or one that is there already. */

import { join } from 'node:path';
import type { Api } from './api.ts';
import type { Outcome } from './command.ts';
import type { Images } from './kubelet/types.ts';

/** `namespace/name` of a pod. */
export type PodName = string;

export interface ExecOptions {
  /** Default: the pod's first. */
  readonly container?: string;
  readonly timeoutMs?: number;
}

export interface BedOptions {
  /** Default 2, at most 3; a cluster that is there has what it has. */
  readonly nodes?: number;
  /** Beside those of the test app and of CoreDNS. */
  readonly images?: Images;
  /** Default: kubeadm's (coredns.ts). */
  readonly corefile?: string;
  readonly dualStack?: boolean;
}

/** Caches and settings of kubectl and helm below a folder, and not in the home of whoever runs the tests. */
export function cachesBelow(work: string): Readonly<Record<string, string>> {
  return {
    KUBECACHEDIR: join(work, 'kubectl'),
    HELM_CACHE_HOME: join(work, 'helm/cache'),
    HELM_CONFIG_HOME: join(work, 'helm/config'),
    HELM_DATA_HOME: join(work, 'helm/data'),
  };
}

export interface Ground {
  readonly api: Api;
  readonly kubectl: readonly string[];
  /** Global flags of helm. */
  helm(major: 3 | 4): readonly string[];
  /** So that both keep what they cache where it does no harm. */
  readonly env: Readonly<Record<string, string>>;
  /** Network namespace in which both run; undefined: the test's own. */
  readonly netns: string | undefined;
  exec(pod: PodName, argv: readonly string[], options?: ExecOptions): Promise<Outcome>;
  logs(pod: PodName, container?: string): Promise<string>;
  /** Sends a signal to the container's first process. */
  killProcess(pod: PodName, signal: NodeJS.Signals, container?: string): Promise<void>;
  /** What only the bed's own cluster lets a test do. */
  readonly local: LocalControls | undefined;
  stop(): Promise<void>;
}

export interface Part {
  readonly running: boolean;
  /** Default SIGKILL; resolves when the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Resolves when it is ready again. */
  start(): Promise<void>;
}

export interface NodeControls {
  /** Unplugs the node: its processes go on, but nothing reaches it. */
  cut(): Promise<void>;
  mend(): Promise<void>;
  readonly kubeProxy: Part;
}

export interface LocalControls {
  readonly apiServer: Part;
  readonly etcd: Part;
  readonly controllers: Part;
  readonly scheduler: Part;
  node(name: string): NodeControls;
  /** Adds images or puts others in their place, for containers that start from now on. */
  setImages(images: Images): void;
  /** Forgets all past versions: who comes with an old one is told 410 Gone, once the API server has been started anew. */
  compact(): Promise<void>;
  /** Folder with the logs of all parts. */
  readonly work: string;
}
