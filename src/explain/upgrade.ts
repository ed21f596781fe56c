/** What becomes of a request that asks to speak another protocol from then on: RFC 9110 §7.8, RFC 8441. */

import type { TimeoutPolicy } from '../model/policy.ts';
import type { EndpointProtocol } from '../model/service.ts';
import type { Head } from '../proxy/head/head.ts';
import { asksForWebSocket, isExtendedConnect } from '../proxy/http/websocket-handshake.ts';
import type { BackendFacts } from './explanation.ts';
import { duration } from './words.ts';

/** How the endpoint is asked, decided by what the proxy decides it by; null where nothing is asked. */
export function upgradeFact(
  protocol: EndpointProtocol | null,
  data: Buffer,
  head: Head,
): BackendFacts['upgrade'] {
  if (!head.upgrade) return null;
  if (protocol !== 'http/2') return 'upgrade';
  return asksForWebSocket(data, head) ? 'extended-connect' : 'left-out';
}

/** What the head asks for, as the end of a sentence; '' for nothing. */
export function askedText(head: Head): string {
  if (isExtendedConnect(head)) return ', asks for a WebSocket (Extended CONNECT)';
  if (head.upgrade) return ', asks for another protocol (Upgrade)';
  return head.upgradeH2c ? ', its Upgrade to h2c is ignored' : '';
}

/** How the endpoint is asked, and what then ends the tunnel. */
export function upgradeTexts(
  upgrade: BackendFacts['upgrade'],
  { idleMs, tunnelMs, drainMs }: TimeoutPolicy,
): readonly string[] {
  if (upgrade === null) return [];
  if (upgrade === 'left-out') return ['without the Upgrade, which HTTP/2 does not have'];
  const asked =
    upgrade === 'upgrade'
      ? 'asks to switch'
      : 'asks by Extended CONNECT, or answers 501 upgrade_not_offered where the endpoint does not offer it';
  const limits = [
    ...(idleMs > 0 ? [`${duration(idleMs)} without a byte`] : []),
    ...(tunnelMs > 0 ? [`${duration(tunnelMs)} in all`] : []),
    ...(drainMs > 0 ? [`${duration(drainMs)} once its endpoint has left`] : []),
  ];
  const ends = limits.length === 0 ? 'without a time limit' : `for up to ${limits.join(', ')}`;
  return [asked, `then bytes both ways ${ends}`];
}
