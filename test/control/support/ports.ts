/** Proxy ports that this test process has for itself: tests run side by side, and agents listen on all addresses. */

import { once } from 'node:events';
import { createServer } from 'node:net';
import { codeOf } from '../../../src/base/error.ts';

export const PORTS_EACH = 50;
/** Above those that other tests name, and below those that the system gives away. */
const FIRST_PORT = 23_000;
const SHARES = 190;
/** Who listens there, on the address of a share, has that one until its process ends. */
const CLAIM_PORT = 11_999;

let own: Promise<number> | undefined;

/** The first of them. */
export function ownPorts(): Promise<number> {
  return (own ??= claim());
}

async function claim(): Promise<number> {
  for (let i = 0; i < SHARES; i++) {
    const share = (process.pid + i) % SHARES;
    // oxlint-disable-next-line no-await-in-loop -- until one is free
    if (await isFree(`127.77.0.${1 + share}`)) return FIRST_PORT + share * PORTS_EACH;
  }
  throw new Error('all proxy ports of tests are in use');
}

async function isFree(host: string): Promise<boolean> {
  const server = createServer().listen({ host, port: CLAIM_PORT }).unref();
  try {
    await once(server, 'listening');
    return true;
  } catch (error) {
    if (codeOf(error) !== 'address_in_use') throw error;
    return false;
  }
}
