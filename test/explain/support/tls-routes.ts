/** Routes of TLS ports and hellos of their callers, at random: few names, so that they meet. */

import type { RouteBackend, TcpRoute } from '../../../src/model/route.ts';
import type { TlsRule } from '../../../src/model/rule.ts';
import type { TcpPort } from '../../../src/model/service.ts';
import type { ClientHello } from '../../../src/proxy/hello/client-hello.ts';
import { clientHello } from '../../support/client-hello.ts';
import type { Dice } from './dice.ts';

const NAMES = ['a.example', 'b.example', 'x.a.example'];
const PROTOCOLS = ['h2', 'http/1.1'];

/** Null speaks no TLS. */
export function randomHello(dice: Dice): ClientHello | null {
  if (dice.chance(0.15)) return null;
  return { serverName: dice.pick(['', ...NAMES]), protocols: dice.some(PROTOCOLS, 0.5) };
}

/** What such a caller sends first. */
export function firstBytes(hello: ClientHello | null): Buffer {
  if (hello === null) return Buffer.from('EHLO a.example\r\n');
  const { serverName, protocols } = hello;
  return clientHello({ name: serverName === '' ? null : serverName, protocols, recordBytes: 50 });
}

export function randomTlsRoutes(
  dice: Dice,
  { routes }: TcpPort,
  backends: readonly RouteBackend[],
): readonly TcpRoute[] {
  const [first] = routes;
  if (first === undefined) return routes;
  const plain = backends.map((each) => ({ ...each, filters: null }));
  const ways = [plain, first.backends, plain.toReversed()];
  const made = ways.map((way, i): TcpRoute => ({
    ...first,
    name: `tls ${i}`,
    backends: way,
    matches: dice.chance(0.1) ? [] : [{ rule: randomRule(dice, 2) }],
  }));
  return dice.some(made, 0.8);
}

function randomRule(dice: Dice, depth: number): TlsRule {
  if (depth > 0 && dice.chance(0.4)) {
    const kind = dice.pick(['not', 'all', 'any'] as const);
    if (kind === 'not') return { kind, of: randomRule(dice, depth - 1) };
    return { kind, of: [randomRule(dice, depth - 1), randomRule(dice, depth - 1)] };
  }
  return dice.chance(0.75)
    ? { kind: 'sni', name: dice.pick(['*', '*.example', '*.a.example', ...NAMES]) }
    : { kind: 'alpn', protocol: dice.pick(PROTOCOLS) };
}
