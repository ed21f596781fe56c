/** A guard that survives nothing: what the real one counts must fail a test, whoever catches what this one throws. */

import type { Clock } from '../../src/base/clock.ts';
import { Guard, type Part } from '../../src/base/guard.ts';
import { silentLog } from '../../src/base/log.ts';

export class StrictGuard extends Guard {
  constructor(clock: Clock) {
    super(clock, silentLog);
  }

  override caught(_part: Part, error: unknown): void {
    queueMicrotask(() => {
      throw error;
    });
  }
}
