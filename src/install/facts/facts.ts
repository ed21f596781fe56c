/** What is in place of the mesh in a cluster: the few fields that `check` and `status` judge. */

import type { Problem } from '../../model/service.ts';

/** What was read, or why it could not be. */
export type Known<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly why: string; readonly isForbidden: boolean };

/** The Deployment of the controller or the DaemonSet of the agents. */
export interface WorkloadFact {
  readonly image: string;
  /** Pods that there should be. */
  readonly wanted: number;
  readonly ready: number;
  /** Those of the latest template. */
  readonly updated: number;
  /** An upgrade got no further for as long as a Deployment allows (`ProgressDeadlineExceeded`). */
  readonly isStuck: boolean;
  readonly nodeSelector: Readonly<Record<string, string>>;
  /** Variables of its containers that have a value of their own. */
  readonly env: ReadonlyMap<string, string>;
  /** Name of Helm's release, '' when Helm does not manage it. */
  readonly helmRelease: string;
}

export interface PodFact {
  readonly name: string;
  readonly component: 'controller' | 'agent';
  readonly node: string;
  readonly isReady: boolean;
  readonly isEnding: boolean;
  /** `ImagePullBackOff`, `CrashLoopBackOff`, `Unschedulable`: why it does not run; '' when it does. */
  readonly trouble: string;
  readonly restarts: number;
}

export interface NodeFact {
  readonly name: string;
  readonly isReady: boolean;
  readonly isSchedulable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** `v1.36.3`. */
  readonly kubelet: string;
}

export interface LeaseFact {
  /** Name of the Pod that leads, '' when nobody does. */
  readonly holder: string;
  /** Since the holder showed itself last, by the clock of this machine. */
  readonly ageMs: number;
  readonly durationMs: number;
}

export interface ShadowFact {
  readonly service: string;
  readonly state: string;
  /** Proxy ports that it holds: published, announced and in quarantine. */
  readonly proxyPorts: number;
}

export interface DnsServiceFact {
  readonly addresses: readonly string[];
  /** Ready endpoints. */
  readonly endpoints: number;
}

/** The certificates that agents know the controller by. */
export interface CaFact {
  /** Unix ms of the end of the one that is valid longest; 0 when none can be read. */
  readonly endMs: number;
  readonly certificates: number;
}

export interface AgentFact {
  /** `maesh/maesh-agent-x7k2p`. */
  readonly agent: string;
  readonly node: string;
  readonly build: string;
  readonly servedVersion: number;
  /** Behind its controller for longer than a change takes. */
  readonly isBehind: boolean;
  /** Versions that it is behind by now. */
  readonly lag: number;
  readonly failures: readonly string[];
}

/** What one replica of the controller says. */
export interface ReplicaFact {
  readonly pod: string;
  /** Version of maesh; null when it does not say. */
  readonly build: string | null;
  readonly version: number;
  readonly agents: readonly AgentFact[];
  readonly problems: readonly Problem[];
  /** What it waits for; empty when it is ready. */
  readonly pending: readonly string[];
}

export interface KubeProxyFact {
  /** `iptables`, `ipvs`, `nftables`; '' where it is not said. */
  readonly mode: string;
}

/** A right that somebody lacks. */
export interface MissingRight {
  /** `maesh-controller`, or `you`. */
  readonly who: string;
  /** `patch configmaps "coredns" in kube-system`. */
  readonly what: string;
}

export interface ClusterFacts {
  readonly namespace: string;
  readonly server: string;
  /** Unix ms of this machine. */
  readonly nowMs: number;
  /** `v1.36.3`. */
  readonly version: Known<string>;
  /** null: not installed. */
  readonly controller: Known<WorkloadFact | null>;
  readonly agent: Known<WorkloadFact | null>;
  readonly pods: Known<readonly PodFact[]>;
  readonly nodes: Known<readonly NodeFact[]>;
  readonly lease: Known<LeaseFact | null>;
  readonly shadows: Known<readonly ShadowFact[]>;
  readonly dnsService: Known<DnsServiceFact | null>;
  readonly ca: Known<CaFact | null>;
  readonly kubeProxy: Known<KubeProxyFact | null>;
  readonly replicas: ReadonlyMap<string, Known<ReplicaFact>>;
}
