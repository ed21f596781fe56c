/** Pods as far as the bed's kubelet reads them, and what it is told at its start. */

import type { KubeObject } from '../api.ts';

export interface KeyRef {
  readonly name?: string;
  readonly key: string;
  readonly optional?: boolean;
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly resourceFieldRef?: {
      readonly containerName?: string;
      readonly resource: string;
      readonly divisor?: string;
    };
    readonly configMapKeyRef?: KeyRef;
    readonly secretKeyRef?: KeyRef;
  };
}

export interface EnvFrom {
  readonly prefix?: string;
  readonly configMapRef?: { readonly name?: string; readonly optional?: boolean };
  readonly secretRef?: { readonly name?: string; readonly optional?: boolean };
}

export interface HttpGet {
  readonly path?: string;
  readonly port: number | string;
  readonly host?: string;
  readonly scheme?: string;
  readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[];
}

export interface Action {
  readonly httpGet?: HttpGet;
  readonly tcpSocket?: { readonly port: number | string; readonly host?: string };
  readonly exec?: { readonly command?: readonly string[] };
  readonly sleep?: { readonly seconds: number };
}

/** All times in seconds. The API server fills in the defaults. */
export interface Probe extends Action {
  readonly initialDelaySeconds?: number;
  readonly periodSeconds?: number;
  readonly timeoutSeconds?: number;
  readonly successThreshold?: number;
  readonly failureThreshold?: number;
  readonly terminationGracePeriodSeconds?: number;
}

export interface SecurityContext {
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly runAsNonRoot?: boolean;
  readonly fsGroup?: number;
  readonly supplementalGroups?: readonly number[];
  readonly privileged?: boolean;
  readonly readOnlyRootFilesystem?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
  readonly seccompProfile?: { readonly type: string };
  readonly sysctls?: readonly { readonly name: string; readonly value: string }[];
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly subPath?: string;
  readonly readOnly?: boolean;
}

export interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly workingDir?: string;
  readonly env?: readonly EnvVar[];
  readonly envFrom?: readonly EnvFrom[];
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly resources?: {
    readonly limits?: Readonly<Record<string, string>>;
    readonly requests?: Readonly<Record<string, string>>;
  };
  readonly volumeMounts?: readonly VolumeMount[];
  readonly securityContext?: SecurityContext;
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly lifecycle?: { readonly preStop?: Action };
}

export interface KeyToPath {
  readonly key: string;
  readonly path: string;
  readonly mode?: number;
}

export interface FileSource {
  readonly name?: string;
  readonly secretName?: string;
  readonly items?: readonly KeyToPath[];
  readonly optional?: boolean;
  readonly defaultMode?: number;
}

export interface DownwardSource {
  readonly items?: readonly {
    readonly path: string;
    readonly fieldRef?: { readonly fieldPath: string };
    readonly mode?: number;
  }[];
  readonly defaultMode?: number;
}

export interface TokenSource {
  readonly path: string;
  readonly audience?: string;
  readonly expirationSeconds?: number;
}

export interface ProjectedSource {
  readonly configMap?: FileSource;
  readonly secret?: FileSource;
  readonly downwardAPI?: DownwardSource;
  readonly serviceAccountToken?: TokenSource;
}

export interface Volume {
  readonly name: string;
  readonly emptyDir?: object;
  readonly hostPath?: { readonly path: string; readonly type?: string };
  readonly configMap?: FileSource;
  readonly secret?: FileSource;
  readonly downwardAPI?: DownwardSource;
  readonly projected?: {
    readonly sources?: readonly ProjectedSource[];
    readonly defaultMode?: number;
  };
}

export interface Pod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string;
    readonly hostNetwork?: boolean;
    readonly hostname?: string;
    readonly subdomain?: string;
    readonly containers: readonly ContainerSpec[];
    readonly initContainers?: readonly ContainerSpec[];
    readonly volumes?: readonly Volume[];
    readonly securityContext?: SecurityContext;
    readonly serviceAccountName?: string;
    readonly restartPolicy?: 'Always' | 'OnFailure' | 'Never';
    readonly terminationGracePeriodSeconds?: number;
    readonly activeDeadlineSeconds?: number;
    readonly dnsPolicy?: string;
    readonly enableServiceLinks?: boolean;
    readonly hostAliases?: readonly {
      readonly ip: string;
      readonly hostnames?: readonly string[];
    }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** What stands for an image: folders seen in the container, and what runs there. */
export interface Image {
  /** Root folder of the container; without one, the machine's own /usr, read-only, and an empty rest. */
  readonly root?: string;
  /** Machine's files and folders that are seen read-only at a path of the container. */
  readonly binds?: readonly { readonly from: string; readonly to: string }[];
  readonly entrypoint: readonly string[];
  readonly cmd?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Default 0, as for an image without USER. */
  readonly user?: number;
  readonly group?: number;
  readonly workingDir?: string;
}

/** By the beginning of the image's name: `maesh/maesh:` or `maesh/maesh:2`; the longest that fits counts. */
export type Images = Readonly<Record<string, Image>>;

export interface KubeletConfig {
  readonly node: string;
  /** Of Kubernetes, `1.36.3`. */
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly address: string;
  readonly address6: string;
  readonly podCidr: string;
  readonly podCidr6: string;
  readonly dualStack: boolean;
  readonly netns: string;
  /** Names of namespaces of pods begin so. */
  readonly prefix: string;
  readonly work: string;
  readonly server: string;
  readonly caFile: string;
  readonly keyFile: string;
  readonly token: string;
  /** JSON of `Images`, read anew for each container that starts. */
  readonly imagesFile: string;
  readonly clusterDns: string;
  readonly kubernetesService: string;
  /** Of the pods with `dnsPolicy: Default`. */
  readonly nodeDns: string;
}

/** What the kubelet leaves in the file `container.json`, so that the test finds processes and namespaces. */
export interface ContainerRecord {
  readonly pod: string;
  readonly namespace: string;
  readonly uid: string;
  readonly container: string;
  readonly node: string;
  readonly netns: string;
  /** In the machine's own process namespace; 0 when it does not run. */
  readonly pid: number;
  readonly user: number;
  readonly group: number;
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
}

/** A pod that cannot run as it is asked for; `reason` is that of the event. */
export class PodError extends Error {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}
