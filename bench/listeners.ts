/** How long a process takes to open its listeners, seen from outside: the kernel lists them. */

import { readFileSync } from 'node:fs';
import type { Child } from './children.ts';

export interface Awaited {
  readonly child: Child;
  /** All listeners have this port, each on an address of its own. Those that are there already do not count. */
  readonly port: number;
  readonly count: number;
  readonly timeoutMs: number;
}

/**
 * Milliseconds from the last look that found none to the first that found `count`: never less than the truth, and more by
 * the time of two looks at most.
 */
export async function untilListening(awaited: Awaited): Promise<number> {
  const giveUp = performance.now() + awaited.timeoutMs;
  const look = (): number => countListeners(readFileSync('/proc/net/tcp', 'latin1'), awaited.port);
  let noneAt = performance.now();
  const others = look();
  for (;;) {
    const lookedAt = performance.now();
    const open = look() - others;
    if (open === 0) noneAt = lookedAt;
    if (open >= awaited.count) return performance.now() - noneAt;
    if (!awaited.child.isRunning() || performance.now() > giveUp) {
      throw new Error(
        `Cannot see ${awaited.count} listeners on port ${awaited.port}: ${open} after ${awaited.timeoutMs} ms; ${awaited.child.tail()}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Listening sockets with that port in the text of /proc/net/tcp, where state `0A` is LISTEN. */
export function countListeners(table: string, port: number): number {
  const marked = `:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A `;
  return table.split(marked).length - 1;
}
