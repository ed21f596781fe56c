/** How many file descriptors this process may have open. Node raises its own limit to the hard one when it starts. */

import { readFileSync } from 'node:fs';

/** Infinity when the system does not tell, or sets no limit. */
export function descriptorLimit(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Infinity);
  } catch {
    // Not Linux: nothing is held back, and dials that fail are still told apart.
    return Infinity;
  }
}
