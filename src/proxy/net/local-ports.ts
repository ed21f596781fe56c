/** How many local ports the system gives to those who dial without naming one. */

import { readFileSync } from 'node:fs';

/** Infinity when it does not tell. */
export function localPorts(): number {
  try {
    return portsIn(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'));
  } catch {
    // Not Linux: a dial that finds none is still told apart.
    return Infinity;
  }
}

/** The first and the last one. */
export function portsIn(range: string): number {
  const [first = NaN, last = NaN] = range.trim().split(/\s+/).map(Number);
  return last >= first ? last - first + 1 : Infinity;
}
