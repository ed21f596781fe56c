/** How long a connection that carries no requests, or a session of UDP, may be silent, and stand. */

import type { TimeoutPolicy } from './policy.ts';
import type { Service, ServicePort } from './service.ts';

/**
 * Without a word about it. Pools of connections are silent for hours; `kube-proxy` forgets a connection after a day, too. Peers that
 * are gone are noticed long before.
 */
export const STREAM_IDLE_MS = 86_400_000;
/**
 * Without a word about it. No end is ever said, so silence is all there is; what callers send to keep a session comes every 15 to 30 s,
 * since routers forget one after 30 s.
 */
export const SESSION_IDLE_MS = 60_000;

const IDLE = 'timeouts.idleMs';

/** `service` with the policies that hold on `port`. */
export function streamLimitsOf({ policies, sources }: Service, port: ServicePort): TimeoutPolicy {
  const { timeouts } = policies;
  const isSaid = Object.hasOwn(port.sources, IDLE) || Object.hasOwn(sources, IDLE);
  if (isSaid) return timeouts;
  return { ...timeouts, idleMs: port.protocol === 'udp' ? SESSION_IDLE_MS : STREAM_IDLE_MS };
}
