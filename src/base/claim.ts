/**
 * A claim on what only one process of a network namespace may serve. Proxy threads share their ports (`SO_REUSEPORT`), so
 * the kernel would give a second mesh of the same user a part of the first one's callers without a word.
 *
 * A claim is an abstract Unix socket whose name says what is claimed and by whom. It is of the network namespace, as ports
 * are; the kernel lets go of it however the process ends; and nobody needs to connect to it, since /proc/net/unix lists
 * the names. Where there is no such list nothing is found, and everything works as without claims.
 */

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { BlockList, createServer } from 'node:net';

import { delay, systemClock } from './clock.ts';

/** Who has claimed what overlaps. */
export interface Holder {
  readonly pid: number;
  /** As it was claimed. */
  readonly what: string;
}

export interface Claim {
  /** Who claimed before; empty when it is ours alone. */
  readonly holders: readonly Holder[];
  readonly release: () => void;
}

/** One that starts at the same moment has decided by then. */
const SETTLE_MS = 1_000;
const POLL_MS = 50;

/** Tells this process from others, since containers may all have process 1. */
const BORN = randomBytes(8).toString('hex');

/** Kernels list one line per socket of the namespace; the name is the last word. */
const LIST = '/proc/net/unix';

/** Claims an IPv4 CIDR, or a word that overlaps with nothing but itself, among the claims of this kind. */
export async function claim(kind: string, what: string): Promise<Claim> {
  const prefix = `maesh/${kind}/`;
  const own = {
    pid: process.pid,
    born: BORN,
    since: Math.round(systemClock.nowMs() * 1_000),
    what,
  };
  const server = createServer((socket) => socket.destroy());
  // Whatever goes wrong here, a mesh without this check is better than none.
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    server.once('error', () => resolve());
    const name = [own.pid, own.born, own.since, what.replace('/', '~')].join('/');
    server.listen(`\0${prefix}${name}`, resolve);
  });
  const holders = await findHolders(prefix, own);
  server.unref();
  return { holders, release: () => void server.close() };
}

/**
 * Of two that start at the same moment exactly one goes on. The later one gives up. The earlier one waits for that, and gives
 * up itself when the later one does not: it has looked before the earlier one was listed.
 */
async function findHolders(prefix: string, own: Listed): Promise<readonly Holder[]> {
  for (let waited = 0; ; waited += POLL_MS) {
    // oxlint-disable-next-line no-await-in-loop -- looks again until the other one has decided
    const claims = await readClaims(prefix);
    const others = claims.filter(({ born, what }) => born !== BORN && overlaps(what, own.what));
    const earlier = others.filter((other) => isBefore(other, own));
    if (earlier.length > 0 || others.length === 0) return earlier;
    if (waited >= SETTLE_MS) return others;
    // oxlint-disable-next-line no-await-in-loop -- as above
    await delay(systemClock, POLL_MS);
  }
}

interface Listed extends Holder {
  /** `BORN` of its process. */
  readonly born: string;
  /** Microseconds of the clock that all processes of the machine share. */
  readonly since: number;
}

async function readClaims(prefix: string): Promise<readonly Listed[]> {
  const text = await readFile(LIST, 'latin1').catch(() => '');
  const pattern = new RegExp(`@${prefix}(\\d+)/([\\da-f]+)/(\\d+)/([^@\\s]+)`, 'g');
  return [...text.matchAll(pattern)].map(([, pid = '', born = '', since = '', what = '']) => ({
    pid: Number(pid),
    born,
    since: Number(since),
    what: what.replace('~', '/'),
  }));
}

function isBefore(a: Listed, b: Listed): boolean {
  return a.since === b.since ? a.pid < b.pid : a.since < b.since;
}

/** Of two CIDRs that overlap one contains the first address of the other. */
function overlaps(a: string, b: string): boolean {
  return a === b || contains(a, b) || contains(b, a);
}

function contains(cidr: string, other: string): boolean {
  const [address = '', bits] = cidr.split('/');
  const [first = ''] = other.split('/');
  if (bits === undefined || other === first) return false;
  try {
    const list = new BlockList();
    list.addSubnet(address, Number(bits));
    return list.check(first);
  } catch {
    return false;
  }
}
