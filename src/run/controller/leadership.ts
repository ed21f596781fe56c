/**
 * What only one replica does: have shadow Services written, write the stanza of the cluster DNS, and Events. All replicas take part
 * in the election.
 */

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { textAt } from '../../base/record.ts';
import { orNull } from '../../kube/api/api-error.ts';
import { resourcePath } from '../../kube/api/path.ts';
import type { KubeClient } from '../../kube/api/client.ts';
import { CONTROLLER, PROBE_SERVICE } from '../../model/names.ts';
import type { Problem } from '../../model/service.ts';
import { ClusterDnsController } from '../../cluster-dns/cluster-dns-controller.ts';
import { ClusterDnsWatch } from '../../cluster-dns/watch.ts';
import type { ControlPlane } from './control-plane.ts';
import type { Regarding } from '../../events/event.ts';
import { EventRecorder } from '../../events/event-recorder.ts';
import { LeaderElection } from '../../leader/leader-election.ts';
import type { ControllerSettings } from './settings.ts';
import { TrafficProblems } from '../../monitor/traffic-problems.ts';
import type { ObjectReference } from '../../model/object-reference.ts';

export interface LeadershipOptions {
  readonly settings: ControllerSettings;
  readonly client: KubeClient;
  readonly plane: ControlPlane;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class Leadership {
  readonly dns: ClusterDnsController;
  readonly #options: LeadershipOptions;
  readonly #election: LeaderElection;
  readonly #events: EventRecorder;
  readonly #dnsWatch: ClusterDnsWatch;
  readonly #traffic: TrafficProblems;
  constructor(options: LeadershipOptions) {
    this.#options = options;
    const { settings, client, plane, clock, random, log } = options;
    const { namespace, identity } = settings;
    const common = { clock, random, log };
    this.dns = new ClusterDnsController({
      ...common,
      api: client,
      mode: settings.dnsMode,
      domains: settings.domains,
      meshNamespace: namespace,
      addressesOf: () => plane.dnsAddresses,
      onConfigMaps: (names) => this.#dnsWatch.follow(names),
    });
    this.#dnsWatch = new ClusterDnsWatch({
      ...common,
      client,
      onChange: () => this.dns.reconcile(),
    });
    this.#events = new EventRecorder({
      ...common,
      api: client,
      identity,
      lookup: (ref) => plane.lookup(ref) ?? lookUpConfigMap(client, ref),
    });
    this.#traffic = this.#makeTraffic();
    this.#election = new LeaderElection({
      ...common,
      api: client,
      namespace,
      name: CONTROLLER,
      identity,
      onStart: () => this.#lead(),
      onStop: () => this.#follow(),
    });
  }

  get isLeader(): boolean {
    return this.#election.isLeader;
  }

  start(): void {
    const { plane } = this.#options;
    plane.dnsChanges.subscribe(() => this.dns.reconcile());
    plane.back.subscribe(() => {
      this.#dnsWatch.nudge();
      this.dns.reconcile();
    });
    this.#election.start();
  }

  /** Lets another replica lead at once. */
  async resign(): Promise<void> {
    await this.#election.stop();
  }

  /** Makes Events of problems; only at the leader. */
  tell(problems: readonly Problem[]): void {
    if (this.isLeader) this.#events.sync(problems);
  }

  problems(): readonly Problem[] {
    return [...this.dns.problems(), ...this.#traffic.problems()];
  }

  #makeTraffic(): TrafficProblems {
    const { plane, clock, settings } = this.#options;
    return new TrafficProblems({
      clock,
      snapshot: () => plane.snapshot(),
      // The check of the data path tells of it.
      except: `${settings.namespace}/${PROBE_SERVICE}`,
      troubles: () => plane.troubles(),
    });
  }

  #lead(): void {
    this.#options.plane.shadows.lead();
    this.dns.start();
    this.#events.start();
  }

  async #follow(): Promise<void> {
    this.#options.plane.shadows.follow();
    await Promise.all([this.#stopDns(), this.#events.stop()]);
  }

  async #stopDns(): Promise<void> {
    // A look that ends says once more what to follow.
    await this.dns.stop();
    await this.#dnsWatch.stop();
  }
}

/** Of the cluster DNS; these are not in the store. */
async function lookUpConfigMap(
  client: KubeClient,
  ref: ObjectReference,
): Promise<Regarding | null> {
  if (ref.kind !== 'ConfigMap') return null;
  const { namespace, name } = ref;
  const path = resourcePath({ version: 'v1', plural: 'configmaps', namespace, name });
  const found = await orNull(client.get(path));
  return found === null ? null : { ...ref, uid: textAt(found, 'metadata', 'uid') };
}
