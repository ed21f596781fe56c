/** Named ports of endpoints and containers. */

import type { Fields } from './fields.ts';
import { LABEL, isName } from './name.ts';
import { readProtocol } from './protocol.ts';

export interface PortRef {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

/** The ports of one list of endpoints, each name once; a bad port costs that port. */
export function readPortRefs(
  owner: Fields,
  numberKey: 'port' | 'containerPort',
): readonly PortRef[] {
  const ports: PortRef[] = [];
  const names = new Set<string>();
  for (const item of owner.children('ports')) {
    const port = readPortRef(item, numberKey);
    if (port === null) continue;
    if (names.has(port.name) && numberKey === 'port') {
      item.error('name', 'Two ports have this name', 'give each port a name of its own');
      continue;
    }
    names.add(port.name);
    ports.push(port);
  }
  return ports;
}

function readPortRef(item: Fields, numberKey: 'port' | 'containerPort'): PortRef | null {
  const port = item.port(numberKey);
  const protocol = readProtocol(item);
  const name = item.raw('name') ?? '';
  if (typeof name !== 'string' || (name !== '' && !isName(name, LABEL))) {
    item.error('name', 'Port name is not valid', `use ${LABEL.text}`);
    return null;
  }
  return port === null || protocol === null ? null : { name, port, protocol };
}
