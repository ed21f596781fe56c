/** A lock that is one word of shared memory, held for well under a microsecond: 0 free, 1 held, 2 held while others may sleep. */

/** Looks at a taken lock before the thread sleeps; some 50 µs, while the section takes under one. */
const LOCK_TRIES = 2_000;
/**
 * Sleeps of 5 ms in a row, in which nobody gives it back, before a lock counts as left behind by a thread that died. On a busy
 * machine the system may hold back a living one inside the section; to break its lock would make two entries for one caller, or
 * take one token twice.
 */
const LOCK_SLEEPS = 20;
const LOCK_SLEEP_MS = 5;

/** Takes the lock; one that shows no sign of life for 0.1 s is broken, so a thread that died in between stops nobody. */
export function lockCell(locks: Int32Array, at: number): void {
  if (Atomics.compareExchange(locks, at, 0, 1) !== 0) waitForCell(locks, at);
}

/** Only who may sleep is woken: that is a call into the runtime, which costs more than all the rest. */
export function unlockCell(locks: Int32Array, at: number): void {
  if (Atomics.exchange(locks, at, 0) === 2) Atomics.notify(locks, at, 1);
}

function waitForCell(locks: Int32Array, at: number): void {
  for (let tries = 0; tries < LOCK_TRIES; tries++) {
    if (Atomics.compareExchange(locks, at, 0, 1) === 0) return;
  }
  for (let sleeps = 0; sleeps < LOCK_SLEEPS;) {
    if (Atomics.exchange(locks, at, 2) === 0) return;
    // Whoever is woken, or finds it changed, has met threads that are alive: another one was quicker.
    sleeps = Atomics.wait(locks, at, 2, LOCK_SLEEP_MS) === 'timed-out' ? sleeps + 1 : 0;
  }
}
