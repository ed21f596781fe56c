/** What is known of a cluster's DNS: the few fields of its Services, workloads and ConfigMaps that tell how it is configured. */

export interface ServiceFact {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** '' when the Service has none and selects nothing by itself. */
  readonly clusterIp: string;
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly port: number; readonly protocol: string }[];
}

/** A file of a ConfigMap volume: without items every key is a file of its own name. */
export interface VolumeFact {
  readonly name: string;
  readonly configMap: string;
  readonly optional: boolean;
  /** Key to path, or null when all keys are files. */
  readonly items: Readonly<Record<string, string>> | null;
}

export interface ContainerFact {
  readonly name: string;
  /** `command` and `args` in one. */
  readonly args: readonly string[];
  readonly mounts: readonly {
    readonly volume: string;
    readonly path: string;
    /** '' for the whole volume. */
    readonly subPath: string;
  }[];
}

/** A Deployment or DaemonSet, by its pod template. */
export interface WorkloadFact {
  readonly kind: 'Deployment' | 'DaemonSet';
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly podLabels: Readonly<Record<string, string>>;
  /** Annotation `kubectl.kubernetes.io/restartedAt` of the pod template, or ''. */
  readonly restartedAt: string;
  readonly containers: readonly ContainerFact[];
  readonly volumes: readonly VolumeFact[];
}

export interface ConfigMapFact {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, string>>;
  readonly hasBinaryData: boolean;
  readonly immutable: boolean;
}

/** Everything of one namespace (`kube-system`) that `detect()` looks at. */
export interface ClusterFacts {
  readonly namespace: string;
  readonly services: readonly ServiceFact[];
  readonly workloads: readonly WorkloadFact[];
  /** Those that workloads mount, where they exist. */
  readonly configMaps: readonly ConfigMapFact[];
}
