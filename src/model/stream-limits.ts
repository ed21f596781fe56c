/** How long a connection that carries no requests may be silent, and stand. */

import type { TimeoutPolicy } from './policy.ts';
import type { Service, ServicePort } from './service.ts';

/**
 * Without a word about it. Pools of connections are silent for hours; `kube-proxy` forgets a connection after a day, too. Peers that
 * are gone are noticed long before.
 */
export const STREAM_IDLE_MS = 86_400_000;

const IDLE = 'timeouts.idleMs';

/** `service` with the policies that hold on `port`. */
export function streamLimitsOf({ policies, sources }: Service, port: ServicePort): TimeoutPolicy {
  const { timeouts } = policies;
  const isSaid = Object.hasOwn(port.sources, IDLE) || Object.hasOwn(sources, IDLE);
  return isSaid ? timeouts : { ...timeouts, idleMs: STREAM_IDLE_MS };
}
