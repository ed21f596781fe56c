/** What of a cluster decides whether the mesh can be installed. */

import type { Problem } from '../../model/service.ts';
import type { Known } from './facts.ts';

export interface PreFacts {
  readonly namespace: string;
  /** `v1.36.3`. */
  readonly version: Known<string>;
  /** A mesh that is there; null when none is. */
  readonly mesh: Known<{ readonly namespace: string; readonly helmRelease: string } | null>;
  /** The namespace of the mesh to come; null when it is not there. */
  readonly target: Known<{
    readonly isEnding: boolean;
    /** Of Pod Security: `restricted`, ''. */
    readonly enforce: string;
  } | null>;
  /** Objects of our names that are not ours. */
  readonly clashes: Known<readonly { readonly object: string; readonly owner: string }[]>;
  /** `create clusterroles`: what the caller may not do. */
  readonly missing: Known<readonly string[]>;
  /** Namespaces with a Traefik Mesh. */
  readonly traefik: Known<readonly string[]>;
  readonly dns: Known<DnsPlan>;
}

export interface DnsPlan {
  /** `CoreDNS of kubeadm`. */
  readonly flavor: string;
  /** `ConfigMap kube-system/coredns data["Corefile"]`. */
  readonly changes: readonly string[];
  readonly problems: readonly Problem[];
}
