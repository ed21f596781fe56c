/**
 * Refuses requests whose Host is a name of somebody else: a page in a browser may let its own name point to 127.0.0.1
 * and then read what the admin server answers (DNS rebinding). It cannot do that with an address or `localhost`.
 */

import { isIP } from 'node:net';

/** `host` is the Host field with its port, undefined when missing (HTTP/1.0, never a browser). */
export function isHostAllowed(host: string | undefined, listed: readonly string[]): boolean {
  if (host === undefined) return true;
  const name = withoutPort(host).toLowerCase();
  return (
    isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost') || listed.includes(name)
  );
}

function withoutPort(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(host);
  return bracketed?.[1] ?? host.replace(/:\d*$/, '');
}

/** 127/8, ::1 and names of this machine that never leave it. */
export function isLoopback(address: string): boolean {
  const name = address.toLowerCase();
  return /^(?:::ffff:)?127\.\d+\.\d+\.\d+$/.test(name) || name === '::1' || name === 'localhost';
}
