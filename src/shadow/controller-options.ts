/** What the controller of shadow Services is given. */

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Service } from '../model/service.ts';
import type { AbilityGate } from './ability-gate.ts';
import { DEFAULT_LOSS_MS } from './placer.ts';
import type { PortRange } from './ports.ts';
import type { RenderOptions } from './render.ts';
import type { IpFamily } from './shadow.ts';
import type { RequirementsOf } from './wanted.ts';
import type { ShadowApi } from './writer.ts';

export interface ShadowTimes {
  readonly quarantineMs: number;
  /** What agents do not acknowledge in this time is published all the same. */
  readonly announceTimeoutMs: number;
  /** How long most Services must be missing at the start to be believed gone. */
  readonly lossMs: number;
}

export const DEFAULT_SHADOW_TIMES: ShadowTimes = {
  quarantineMs: 300_000,
  announceTimeoutMs: 10_000,
  lossMs: DEFAULT_LOSS_MS,
};

export interface ControllerOptions extends RenderOptions {
  readonly api: ShadowApi;
  /** The Placer of this replica. */
  readonly placer: { readonly ready: boolean; readonly services: ReadonlyMap<string, Service> };
  /** `familiesOf()` the cluster IPs of the Service with that key. */
  readonly families: (service: string) => readonly IpFamily[];
  readonly proxyPorts: PortRange;
  /** `Progress.current` of every live replica, this one among them. */
  readonly progressOfAll: () => readonly string[];
  /** What all agents can do. */
  readonly abilities: Pick<AbilityGate, 'missing' | 'lacking'>;
  /** Only tests say otherwise than this version of maesh does. */
  readonly requirements?: RequirementsOf;
  /** Who does not serve yet what was announced, for messages. */
  readonly laggards: () => readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly times?: Partial<ShadowTimes>;
  /** Default 200 a second, as many at once. */
  readonly writesPerSecond?: number;
}
