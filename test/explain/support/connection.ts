/** Connections of TCP: what became of one, and whether explain had said so. */

import net from 'node:net';
import type { Explanation } from '../../../src/explain/explanation.ts';
import { CONNECT_TRIES_MAX } from '../../../src/proxy/call/admit.ts';
import type { Seen } from './agreement.ts';
import type { LiveMesh } from './live-mesh.ts';

/** An endpoint has accepted it, the mesh has reset it, or nobody listens. */
export type Connected = 'stands' | 'cut' | 'refused';

const STALL_MS = 10;

/** Connects until it is known what becomes of it, and resets it then. Returns once nothing of it is left. */
export async function connect(
  live: LiveMesh,
  key: string,
  from: string,
  to: { readonly address: string; readonly port: number; readonly first: Buffer },
): Promise<Connected> {
  const stood = live.standing(key);
  const before = live.inFlight(key);
  const socket = net.connect({ host: to.address, port: to.port, localAddress: from });
  let code = '';
  socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code ?? ''));
  socket.resume();
  // Half of it now: what it says follows from all of it.
  const half = to.first.length >> 1;
  socket.write(to.first.subarray(0, half));
  socket.once('connect', () => setImmediate(() => socket.write(to.first.subarray(half))));
  while (!socket.closed && live.standing(key) === stood) {
    // oxlint-disable-next-line no-await-in-loop -- until something happens
    await new Promise((resolve) => setTimeout(resolve, STALL_MS));
    // An endpoint that does not answer costs time.
    if (socket.readyState === 'open') live.passConnectTime();
  }
  const stands = live.standing(key) > stood;
  if (!socket.closed) socket.resetAndDestroy();
  while (live.inFlight(key) > before) {
    // oxlint-disable-next-line no-await-in-loop -- until the mesh has seen the end
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  if (stands) return 'stands';
  return code === 'ECONNREFUSED' ? 'refused' : 'cut';
}

/** What does not fit, as a sentence; null when everything does. */
export function connectionFault(said: Explanation, seen: Seen): string | null {
  const { answer, failure, tried } = seen;
  const places = new Map(
    said.backends.flatMap(({ id, odds, endpoints }) =>
      endpoints.map((each) => [`${id} ${each.address}:${each.port}`, odds * each.odds]),
    ),
  );
  const isPossible = [...tried.keys()].some((key) => (places.get(key) ?? 0) > 0);
  if (tried.size > 0 && !said.forwarded)
    return 'endpoints were tried, explain says that it is reset';
  if (tried.size > 0 && !isPossible) return 'explain gives none of those that were tried any odds';
  const tries = [...tried.values()].reduce((sum, each) => sum + each, 0);
  if (tries > CONNECT_TRIES_MAX) return `${tries} tries`;
  if (answer === 'stands') return tried.size > 0 ? null : 'it stands without a try';
  if (tried.size > 0) return null;
  const fits = said.outcomes.some((each) => each.kind === 'reset' && each.reason === failure);
  return fits ? null : `it was reset by ${failure}, explain has no such outcome`;
}
