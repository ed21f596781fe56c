/** Random requests for WebSockets, of either version of HTTP, good and bad. */

import { renderBlock, renderHead } from '../../../src/explain/request.ts';
import type { Dice } from './dice.ts';
import type { Sent } from './request.ts';

const TARGETS = ['/', '/chat?x=1', '/a/b', '/?q={z}'];
/** Each makes it something else, or nothing that is valid. */
const ODD: readonly (readonly string[])[] = [
  ['content-length: 5'],
  ['expect: miracles'],
  ['max-forwards: 0'],
  ['host: '],
  ['x: \u0001'],
];

/** Extended CONNECT (RFC 8441), and what is not quite that. */
export function randomConnect(dice: Dice, host: string): Sent {
  const fields = userOf(dice);
  if (dice.chance(0.8)) fields.push('sec-websocket-version: 13');
  if (dice.chance(0.1)) fields.push(...dice.pick(ODD));
  // Another protocol, or none: then it is a CONNECT to anywhere.
  const other = dice.chance(0.25) ? dice.pick([[':protocol: connect-udp'], []]) : null;
  const plain = { method: 'CONNECT', target: dice.pick(TARGETS), host, bodyBytes: 0 };
  const head = renderBlock({
    ...plain,
    fields: [...(other ?? []), ...fields],
    webSocket: other === null,
  });
  return { head, http2: { hasBody: !dice.chance(0.05) }, body: '', isUpgrade: true };
}

/** The handshake of HTTP/1.1 (RFC 6455). */
export function randomHandshake(dice: Dice, host: string): Sent {
  const fields = userOf(dice);
  const plain = { method: 'GET', target: dice.pick(TARGETS), host, bodyBytes: 0 };
  return {
    head: renderHead({ ...plain, fields, webSocket: true }),
    http2: null,
    body: '',
    isUpgrade: true,
  };
}

function userOf(dice: Dice): string[] {
  return dice.chance(0.6) ? [`x-user: ${dice.int(1, 9)}`] : [];
}
