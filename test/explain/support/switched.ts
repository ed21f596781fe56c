/** Whether a request that asked for another protocol was asked for, and answered, as explain said. */

import type { BackendFacts } from '../../../src/explain/explanation.ts';
import type { Seen } from './agreement.ts';
import { webSocketKey } from './endpoints.ts';

/** Of an endpoint that took it. */
const SWITCHES = { 'HTTP/1.1': 101, 'HTTP/2': 200 } as const;
const ASKED = /\r\nupgrade: /i;
const CONNECT = /^CONNECT .* HTTP\/2\r\n/;

/** The caller got a tunnel. */
export function isSwitched({ answer, heads, isHttp2 }: Seen): boolean {
  const wanted = SWITCHES[isHttp2 ? 'HTTP/2' : 'HTTP/1.1'];
  if (typeof answer === 'string' || answer.status !== wanted) return false;
  return !isHttp2 || heads.some((head) => ASKED.test(head) || CONNECT.test(head));
}

/** What does not fit, as a sentence; null when everything does. */
export function upgradeFault(
  { backend: { upgrade, protocol } }: { readonly backend: BackendFacts },
  seen: Seen,
): string | null {
  const last = seen.heads.at(-1);
  if (last === undefined || typeof seen.answer === 'string') return null;
  const asked = CONNECT.test(last) ? 'extended-connect' : ASKED.test(last) ? 'upgrade' : null;
  const said = upgrade === 'left-out' ? null : upgrade;
  if (asked !== said) return `the endpoint was asked by ${asked}, explain says ${said}`;
  const isOk = seen.behaviourOf(seen.reached.at(-1) ?? '') === 'ok';
  const takes = asked === 'extended-connect' || webSocketKey(last) !== '';
  if (asked === null || !takes || !isOk || isSwitched(seen)) return null;
  return `its endpoint, of ${protocol}, switches, and the caller got ${seen.answer.status} ${seen.failure}`;
}
