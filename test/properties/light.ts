/** A lighter `node:test`, for a process that tries one property only. */

import type { AsyncHook } from 'node:async_hooks';
import { createRequire } from 'node:module';

/**
 * From here on nothing notes which test a promise, a timer or a socket belongs to. `node:test` does so for each by a hook, and
 * worlds of promises take two or three times as long. What nobody catches still fails the process. The hook is out of reach but
 * with `--expose-internals`, and where Node has it in the same place; else the property is tried more slowly.
 */
export function forgetOwners(): void {
  let hooks: readonly AsyncHook[] = [];
  try {
    const internal = createRequire(import.meta.url)('internal/async_hooks') as {
      getHookArrays: () => readonly [AsyncHook[], unknown];
    };
    hooks = [...internal.getHookArrays()[0]];
  } catch {
    // Out of reach.
  }
  for (const hook of hooks) hook.disable();
}
