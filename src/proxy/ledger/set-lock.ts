/** One lock per set of a table in shared memory, held for under a microsecond. */

/** Looks at a taken lock before the thread sleeps; some 50 µs, while the section takes under one. */
const LOCK_TRIES = 2_000;
/**
 * Sleeps of at most 5 ms before a lock counts as left behind by a thread that died. On a busy machine the system may hold
 * back a living one inside the section; to break its lock would make two entries for one caller.
 */
const LOCK_SLEEPS = 20;
const LOCK_SLEEP_MS = 5;

/** Takes the lock of the set; one that is held for 0.1 s is broken, so a thread that died in between stops nobody. */
export function lockSet(locks: Int32Array, set: number): void {
  for (let tries = 0; tries < LOCK_TRIES; tries++) {
    if (Atomics.compareExchange(locks, set, 0, 1) === 0) return;
  }
  for (let sleeps = 0; sleeps < LOCK_SLEEPS; sleeps++) {
    Atomics.wait(locks, set, 1, LOCK_SLEEP_MS);
    if (Atomics.compareExchange(locks, set, 0, 1) === 0) return;
  }
}

export function unlockSet(locks: Int32Array, set: number): void {
  Atomics.store(locks, set, 0);
  Atomics.notify(locks, set, 1);
}
