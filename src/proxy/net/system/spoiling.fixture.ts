/** What the runtime may do between a call and the look at its error number. */

import type { Calls } from './system-calls.ts';

/** Writes over the error number of each failed call but the next of the same kind. */
export function spoiling(
  calls: Calls,
  errno: Int32Array,
  spoiler: { readonly errno: number; spoilt: number },
): Calls {
  const made: Partial<Record<keyof Calls, Calls[keyof Calls]>> = {};
  for (const [name, call] of Object.entries(calls) as [keyof Calls, Calls[keyof Calls]][]) {
    let isSpoilt = false;
    made[name] = (...args) => {
      const result = call(...args);
      isSpoilt = result < 0 && !isSpoilt;
      if (isSpoilt) {
        errno[0] = spoiler.errno;
        spoiler.spoilt++;
      }
      return result;
    };
  }
  return made as Calls;
}
