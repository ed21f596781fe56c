/** Objects of the API server to facts about the Lease, shadow Services, maesh-dns and the CA. */

import { X509Certificate } from 'node:crypto';

import { isRecord, listAt, numberAt, recordAt, textAt } from '../../base/record.ts';
import { clusterIpsOf } from '../../kube/kind/service.ts';
import { CA_KEY, SHADOW_ANNOTATION } from '../../model/names.ts';
import type { CaFact, DnsServiceFact, KubeProxyFact, LeaseFact, ShadowFact } from './facts.ts';

/** Certificates that are read of one bundle; a rotation has two or three. */
const CERTIFICATES_MAX = 20;

export function leaseFact(raw: unknown, nowMs: number): LeaseFact {
  const renewedMs = Date.parse(textAt(raw, 'spec', 'renewTime'));
  return {
    holder: textAt(raw, 'spec', 'holderIdentity'),
    ageMs: Number.isNaN(renewedMs) ? Infinity : nowMs - renewedMs,
    durationMs: numberAt(raw, 'spec', 'leaseDurationSeconds') * 1_000,
  };
}

export function shadowFact(raw: unknown): ShadowFact {
  const annotation = (key: keyof typeof SHADOW_ANNOTATION): string =>
    textAt(raw, 'metadata', 'annotations', SHADOW_ANNOTATION[key]);
  const service = annotation('service') || textAt(raw, 'metadata', 'name');
  const announced = portsIn(annotation('announcedPorts'));
  const retired = portsIn(annotation('retiredPorts'));
  return {
    service,
    state: annotation('state'),
    proxyPorts: listAt(raw, 'spec', 'ports').length + announced + retired,
  };
}

/** How many items a list in an annotation has; what is damaged counts as none, and the controller tells of it. */
function portsIn(text: string): number {
  try {
    const value: unknown = JSON.parse(text === '' ? '[]' : text);
    return Array.isArray(value) ? value.length : 0;
  } catch {
    return 0;
  }
}

export function dnsServiceFact(service: unknown, slices: readonly unknown[]): DnsServiceFact {
  const ready = new Set<string>();
  for (const slice of slices) {
    for (const endpoint of listAt(slice, 'endpoints')) {
      if (recordAt(endpoint, 'conditions')['ready'] === false) continue;
      // One per Pod, whatever the number of address families.
      ready.add(textAt(endpoint, 'targetRef', 'name') || String(listAt(endpoint, 'addresses')[0]));
    }
  }
  return {
    addresses: clusterIpsOf(service),
    endpoints: ready.size,
  };
}

export function caFact(raw: unknown): CaFact {
  const bundle = textAt(raw, 'data', CA_KEY);
  const pems = bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const ends = pems.slice(0, CERTIFICATES_MAX).flatMap((pem) => {
    try {
      return [Date.parse(new X509Certificate(pem).validTo)];
    } catch {
      return [];
    }
  });
  return { endMs: Math.max(0, ...ends), certificates: ends.length };
}

/** Of the ConfigMap that kubeadm and kind write. */
export function kubeProxyFact(raw: unknown): KubeProxyFact {
  const config = textAt(raw, 'data', 'config.conf');
  return { mode: /^mode:\s*"?([a-z]*)"?\s*$/m.exec(config)?.[1] ?? '' };
}

/** `v1.36.3` of the answer of /version. */
export function versionFact(raw: unknown): string {
  return isRecord(raw) ? textAt(raw, 'gitVersion') : '';
}
