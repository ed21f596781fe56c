/** Watches the Services of the mesh itself: the shadow Services, and the one in front of the agents' DNS. */

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { KubeClient, KubeRecord } from '../kube/api/client.ts';
import { Reflector } from '../kube/api/reflector.ts';
import { isRecord } from '../kube/record.ts';
import { read } from './shadow/read.ts';
import type { Damaged, Shadow } from './shadow/shadow.ts';

const DNS_SERVICE = 'maesh-dns';
const LABELS = 'app.kubernetes.io/part-of=maesh';

export interface OwnServicesOptions {
  readonly client: Pick<KubeClient, 'list' | 'stream'>;
  readonly namespace: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** A shadow Service as it is now, null when it is gone. */
  readonly onShadow: (name: string, value: Shadow | Damaged | null) => void;
  /** All shadow Services were told once. */
  readonly onListed: () => void;
  readonly onDnsAddresses: () => void;
}

interface Own {
  readonly name: string;
  readonly shadow: Shadow | Damaged | null;
  /** Of the Service in front of the DNS; empty for others. */
  readonly clusterIPs: readonly string[];
}

export class OwnServices {
  readonly #options: OwnServicesOptions;
  readonly #reflector: Reflector<Own>;
  #names = new Set<string>();
  #dnsAddresses: readonly string[] = [];

  constructor(options: OwnServicesOptions) {
    this.#options = options;
    const { client, namespace, clock, random, log } = options;
    this.#reflector = new Reflector<Own>({
      client,
      path: `/api/v1/namespaces/${namespace}/services`,
      labelSelector: LABELS,
      pick,
      sink: {
        replace: (objects) => this.#replace(objects),
        set: (object) => this.#set(object),
        delete: ({ name }) => this.#delete(name),
      },
      clock,
      random,
      log,
    });
  }

  /** Cluster IPs of the Service in front of the agents' DNS. */
  get dnsAddresses(): readonly string[] {
    return this.#dnsAddresses;
  }

  /** Up to where all changes have been told; '' before the first list. */
  get resourceVersion(): string {
    return this.#reflector.resourceVersion;
  }

  get lastError(): string {
    return this.#reflector.lastError?.message ?? '';
  }

  start(): void {
    this.#reflector.start();
  }

  stop(): Promise<void> {
    return this.#reflector.stop();
  }

  #replace(objects: readonly Own[]): void {
    const before = this.#names;
    this.#names = new Set();
    for (const object of objects) this.#set(object);
    for (const name of before) if (!this.#names.has(name)) this.#delete(name);
    this.#options.onListed();
  }

  #set({ name, shadow, clusterIPs }: Own): void {
    if (shadow !== null) {
      this.#names.add(name);
      this.#options.onShadow(name, shadow);
    } else {
      this.#setDns(clusterIPs);
    }
  }

  #delete(name: string): void {
    if (name === DNS_SERVICE) this.#setDns([]);
    if (!this.#names.delete(name)) return;
    this.#options.onShadow(name, null);
  }

  #setDns(addresses: readonly string[]): void {
    this.#dnsAddresses = addresses;
    this.#options.onDnsAddresses();
  }
}

function pick(raw: KubeRecord): Own | null {
  const metadata = isRecord(raw['metadata']) ? raw['metadata'] : {};
  const name = typeof metadata['name'] === 'string' ? metadata['name'] : '';
  if (name === DNS_SERVICE) return { name, shadow: null, clusterIPs: clusterIpsOf(raw) };
  const labels = isRecord(metadata['labels']) ? metadata['labels'] : {};
  if (labels['app.kubernetes.io/component'] !== 'shadow') return null;
  const shadow = read(raw);
  return shadow === null ? null : { name, shadow, clusterIPs: [] };
}

function clusterIpsOf(raw: KubeRecord): readonly string[] {
  const spec = isRecord(raw['spec']) ? raw['spec'] : {};
  const many = Array.isArray(spec['clusterIPs']) ? spec['clusterIPs'] : [spec['clusterIP']];
  return many.filter(
    (address): address is string =>
      typeof address === 'string' && address !== '' && address !== 'None',
  );
}
