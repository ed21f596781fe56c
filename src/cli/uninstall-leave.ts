/** Gives callers time to leave after the mesh domains are taken out of the cluster DNS, before what they led to goes. */

import { type Clock, delay } from '../base/clock.ts';
import { askOnce, type SoaResolver } from '../monitor/dns/probe.ts';
import { waitUntil } from '../install/wait.ts';

/**
 * For every replica of the cluster DNS to read its configuration again: kubelets write a ConfigMap into Pods within a minute
 * and a half, and CoreDNS looks every 30 to 45 s. Within the deadline of the hook's Job.
 */
const GONE_TIMEOUT_MS = 150_000;
/** Rounds in a row, a second apart, in which nobody knows the domains any more. */
const ROUNDS_GONE = 8;
/** Per domain and round; each may reach another replica. */
const ASKS_PER_ROUND = 4;
/** What resolvers and callers keep of the last answers. */
const TTL_MS = 5_000;

interface Leaving {
  readonly clock: Clock;
  readonly tell: (line: string) => void;
}

/** From outside of the cluster nobody sees who still resolves: waits as long as it is told. */
export async function leaveFor({ clock, tell }: Leaving, leaveMs: number): Promise<void> {
  if (leaveMs === 0) return;
  tell(`Callers have ${leaveMs / 1_000} s to leave`);
  await delay(clock, leaveMs);
}

/** From inside one sees when the names are gone. Never throws; after that time it goes on all the same. */
export async function leaveSeen(
  options: Leaving & { readonly domains: readonly string[]; readonly resolver: () => SoaResolver },
): Promise<void> {
  const { clock, domains, resolver, tell } = options;
  let rounds = 0;
  const left = await waitUntil({
    clock,
    timeoutMs: GONE_TIMEOUT_MS,
    tell,
    missing: async () => {
      const asks = domains.flatMap((domain) =>
        Array.from({ length: ASKS_PER_ROUND }, () => domain),
      );
      const answers = await Promise.all(asks.map((domain) => askOnce(resolver(), domain)));
      const known = domains.filter((domain) =>
        answers.some(({ state }, index) => asks[index] === domain && state === 'works'),
      );
      rounds = known.length === 0 ? rounds + 1 : 0;
      if (rounds >= ROUNDS_GONE) return '';
      return `Waiting for the cluster DNS to forget ${domains.join(', ')}`;
    },
  });
  if (left !== '') tell(`It has not after ${GONE_TIMEOUT_MS / 1_000} s: continuing`);
  await delay(clock, TTL_MS);
}
