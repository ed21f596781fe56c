/** Watches the Services of the mesh itself: the shadow Services, and the one in front of the agents' DNS. */

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { KubeClient, KubeRecord } from '../../kube/api/client.ts';
import { Reflector, type Sink } from '../../kube/api/reflector.ts';
import { recordAt, textAt } from '../../base/record.ts';
import { clusterIpsOf } from '../../kube/kind/service.ts';
import { DNS_SERVICE, LABEL, OF_MESH } from '../../model/names.ts';
import { read } from '../../shadow/read.ts';
import type { Damaged, Shadow } from '../../shadow/shadow.ts';

export interface OwnServicesOptions {
  readonly client: Pick<KubeClient, 'list' | 'stream'>;
  readonly namespace: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly shadows: Sink<Shadow | Damaged>;
  readonly onDnsAddresses: () => void;
  /** One of them, by name, has these cluster IPs now; none when it is gone. */
  readonly onAddresses: (name: string, addresses: readonly string[]) => void;
}

/** One of them: a shadow Service, or the addresses of the DNS. */
type Own =
  | { readonly kind: 'shadow'; readonly shadow: Shadow | Damaged }
  | { readonly kind: 'dns'; readonly addresses: readonly string[] };

export class OwnServices {
  readonly #options: OwnServicesOptions;
  readonly #reflector: Reflector<Own>;
  readonly #names = new Set<string>();
  #dnsAddresses: readonly string[] = [];

  constructor(options: OwnServicesOptions) {
    this.#options = options;
    const { client, namespace, clock, random, log, shadows } = options;
    this.#reflector = new Reflector<Own>({
      client,
      path: `/api/v1/namespaces/${namespace}/services`,
      labelSelector: OF_MESH,
      pick,
      sink: {
        replace: (all) => {
          const names = new Set(all.map(nameOf));
          for (const name of this.#names) if (!names.has(name)) this.#note(name, []);
          for (const own of all) this.#note(nameOf(own), addressesOf(own));
          shadows.replace(all.flatMap((own) => (own.kind === 'shadow' ? [own.shadow] : [])));
          this.#setDns(all.flatMap((own) => (own.kind === 'dns' ? own.addresses : [])));
        },
        set: (own) => {
          this.#note(nameOf(own), addressesOf(own));
          if (own.kind === 'shadow') shadows.set(own.shadow);
          else this.#setDns(own.addresses);
        },
        delete: (key) => {
          this.#note(key.name, []);
          if (key.name === DNS_SERVICE) this.#setDns([]);
          else shadows.delete(key);
        },
      },
      clock,
      random,
      log,
    });
  }

  /** Cluster IPs of the Service in front of the agents' DNS; none while there is none. */
  get dnsAddresses(): readonly string[] {
    return this.#dnsAddresses;
  }

  start(): void {
    this.#reflector.start();
  }

  /** The API server was reached by another. */
  nudge(): void {
    this.#reflector.nudge();
  }

  stop(): Promise<void> {
    return this.#reflector.stop();
  }

  #note(name: string, addresses: readonly string[]): void {
    if (addresses.length === 0) this.#names.delete(name);
    else this.#names.add(name);
    this.#options.onAddresses(name, addresses);
  }

  #setDns(addresses: readonly string[]): void {
    if (addresses.join() === this.#dnsAddresses.join()) return;
    this.#dnsAddresses = addresses;
    this.#options.onDnsAddresses();
  }
}

function nameOf(own: Own): string {
  return own.kind === 'dns' ? DNS_SERVICE : own.shadow.name;
}

function addressesOf(own: Own): readonly string[] {
  if (own.kind === 'dns') return own.addresses;
  return (own.shadow.kind === 'damaged' ? own.shadow.salvage : own.shadow).clusterIPs;
}

function pick(raw: KubeRecord): Own | null {
  if (textAt(raw, 'metadata', 'name') === DNS_SERVICE)
    return { kind: 'dns', addresses: clusterIpsOf(raw) };
  const labels = recordAt(raw, 'metadata', 'labels');
  const shadow = labels[LABEL.component] === 'shadow' ? read(raw) : null;
  return shadow === null ? null : { kind: 'shadow', shadow };
}
