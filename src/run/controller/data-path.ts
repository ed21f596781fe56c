/** The check of the data path that every replica makes, and the endpoint that it ends at. */

import { Resolver } from 'node:dns/promises';

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { type ListenAddress, listenable } from '../../base/wildcard.ts';
import { PROBE_SERVICE } from '../../model/names.ts';
import type { Problem } from '../../model/service.ts';
import type { ControlPlane } from './control-plane.ts';
import type { ControllerSettings } from './settings.ts';
import { call } from '../../monitor/data-path/call.ts';
import { DataPathProbe } from '../../monitor/data-path/probe.ts';
import { Responder } from '../../monitor/data-path/responder.ts';
import type { PathStatus, ProbedAgent, ProbeTarget } from '../../monitor/data-path/status.ts';

export interface DataPathOptions {
  readonly settings: ControllerSettings;
  readonly plane: ControlPlane;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What a metrics page says of it. */
export interface DataPathFigures {
  readonly name: PathStatus;
  readonly working: number;
  readonly failing: number;
}

const RESOLVER = { timeout: 2_000, tries: 2 };

/** null where `--probe` is off, or that port cannot be had: a controller does its work all the same. */
export async function startDataPath(options: DataPathOptions): Promise<DataPath | null> {
  const { probe } = options.settings;
  if (probe === null) return null;
  const path = new DataPath(options, await listenable(probe));
  try {
    await path.start();
    return path;
  } catch (error) {
    options.log.error('Cannot check the data path', { error });
    return null;
  }
}

export class DataPath {
  readonly #options: DataPathOptions;
  readonly #responder: Responder;
  readonly #probe: DataPathProbe;

  constructor(options: DataPathOptions, listen: ListenAddress) {
    const { settings, clock, random } = options;
    this.#options = options;
    this.#responder = new Responder(listen);
    this.#probe = new DataPathProbe({
      clock,
      random,
      target: () => this.#target(),
      agents: () => this.#agents(),
      // Whoever has it off has callers ask another resolver than this Pod does.
      resolve: settings.dnsMode === 'off' ? null : resolveAll,
      call: (target) => call(target, clock),
    });
  }

  async start(): Promise<void> {
    const { host, port } = await this.#responder.start();
    this.#options.log.info('Answering calls that check the data path', { host, port });
    this.#probe.start();
  }

  async stop(): Promise<void> {
    this.#probe.stop();
    await this.#responder.stop();
  }

  problems(): readonly Problem[] {
    return this.#probe.problems();
  }

  figures(): DataPathFigures {
    const states = this.#agents().map(({ agent }) => this.#probe.statusOf(agent).state);
    const known = states.filter((state) => state !== 'unknown');
    const working = known.filter((state) => state === 'works').length;
    return { name: this.#probe.status, working, failing: known.length - working };
  }

  /** `works`, `no-connection (ETIMEDOUT)`, of the way by name; '' before it is known. */
  tell(): string {
    return tellStatus(this.#probe.status);
  }

  /** The same of the way through one agent. */
  tellAgent(agent: string): string {
    return tellStatus(this.#probe.statusOf(agent));
  }

  #target(): ProbeTarget | null {
    const { settings, plane } = this.#options;
    const service = plane.snapshot().services.get(`${settings.namespace}/${PROBE_SERVICE}`);
    const [port] = service?.ports ?? [];
    const [domain = ''] = settings.domains;
    if (service === undefined || service.address === '' || port === undefined) return null;
    return {
      host: `${PROBE_SERVICE}.${settings.namespace}.${domain}`,
      address: service.address,
      port: port.port,
      proxyPort: port.proxyPort,
    };
  }

  #agents(): readonly ProbedAgent[] {
    const { plane } = this.#options;
    return plane.agents().flatMap(({ agent, node }) => {
      const [address] = plane.readyAddresses(agent);
      return address === undefined ? [] : [{ agent, node, address }];
    });
  }
}

function tellStatus({ state, detail }: PathStatus): string {
  if (state === 'unknown') return '';
  return detail === '' ? state : `${state} (${detail})`;
}

/** As callers do it: the resolver of this Pod, asked anew each time. */
async function resolveAll(host: string): Promise<readonly string[]> {
  const resolver = new Resolver(RESOLVER);
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = [v4, v6].flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
  if (found.length === 0 && v4.status === 'rejected') throw v4.reason as Error;
  return found;
}
