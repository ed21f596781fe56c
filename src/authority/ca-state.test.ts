import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { afterStep, bundleOf, dueStep, needsFresh, newState, OVERLAP_MS } from './ca-state.ts';
import { CA_LIFE_MS, SERVING_LIFE_MS, type Ca } from './certificate.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** A CA as far as its life goes; its certificate is a line with its name. */
function ca(name: number, nowMs: number): Ca {
  return {
    certPem: `${name}\n`,
    keyPem: '',
    fingerprint: String(name),
    notBeforeMs: nowMs - DAY_MS,
    notAfterMs: nowMs + CA_LIFE_MS,
  };
}

const event = fc.oneof(
  // A replica looks, with a clock that is off by some seconds; it may die before it writes.
  fc.record({ kind: fc.constant('look'), skewMs: fc.integer({ min: -5_000, max: 5_000 }) }),
  fc.record({ kind: fc.constant('wait'), ms: fc.integer({ min: 1_000, max: 2 * DAY_MS }) }),
  fc.constant({ kind: 'ask' }),
  fc.constant({ kind: 'lose-stamp' }),
);

test('no agent is ever told less than it needs, whatever the order of steps and clocks', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), (events) => {
      let nowMs = 1_800_000_000_000;
      let made = 0;
      let state = newState(ca(made++, nowMs));
      /** When each CA was told first, and until when something that it signed may be in use. */
      const toldMs = new Map([['0', nowMs]]);
      const inUseUntilMs = new Map<string, number>();
      for (const each of events) {
        if (each.kind === 'wait' && 'ms' in each) nowMs += each.ms;
        if (each.kind === 'ask') state = { ...state, isRotationAsked: true };
        if (each.kind === 'lose-stamp') state = { ...state, sinceMs: null };
        if (each.kind !== 'look' || !('skewMs' in each)) continue;
        const seenMs = nowMs + each.skewMs;
        for (let step = dueStep(state, seenMs); step !== 'none'; step = dueStep(state, seenMs)) {
          const isExpired = seenMs >= state.signer.notAfterMs;
          state = afterStep(state, step, seenMs, needsFresh(step) ? ca(made++, seenMs) : null);
          const signer = state.signer.fingerprint;
          if (step === 'promote' && !isExpired) {
            assert(
              (toldMs.get(signer) ?? Infinity) <= nowMs - 4 * MINUTE_MS,
              'told before it signs',
            );
          }
          for (const each of bundleOf(state, nowMs).trim().split('\n')) {
            if (!toldMs.has(each)) toldMs.set(each, nowMs);
          }
          // Who cannot reach the API server goes on with what the old one signed until a moment ago.
          inUseUntilMs.set(signer, Infinity);
          for (const [name, until] of inUseUntilMs) {
            if (name !== signer && until === Infinity) {
              inUseUntilMs.set(
                name,
                Math.min(nowMs + SERVING_LIFE_MS, toldMs.get(name)! + CA_LIFE_MS - 10_000),
              );
            }
          }
        }
        const bundle = bundleOf(state, nowMs).trim().split('\n');
        assert.equal(bundle[0], state.signer.fingerprint);
        for (const [name, until] of inUseUntilMs) {
          if (until !== Infinity && until > nowMs)
            assert(bundle.includes(name), `${name} is in use`);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('every rotation ends: looked at often enough, the state is steady with a signer of good life', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      let nowMs = 1_800_000_000_000;
      let made = 0;
      let state = newState(ca(made++, nowMs));
      const look = (): void => {
        const step = dueStep(state, nowMs);
        if (step === 'none') return;
        state = afterStep(state, step, nowMs, needsFresh(step) ? ca(made++, nowMs) : null);
      };
      for (const each of events) {
        if (each.kind === 'wait' && 'ms' in each) nowMs += each.ms * 100;
        if (each.kind === 'ask') state = { ...state, isRotationAsked: true };
        if (each.kind === 'lose-stamp') state = { ...state, sinceMs: null };
        if (each.kind === 'look') look();
      }
      // Two rotations at most are left: the one that is under way and the one that was asked for meanwhile.
      const endMs = nowMs + 3 * OVERLAP_MS;
      const isSteady = (): boolean =>
        state.next === null && state.previous === null && dueStep(state, nowMs) === 'none';
      for (look(); !isSteady(); look()) {
        nowMs += 10 * MINUTE_MS;
        assert(nowMs < endMs, 'the rotation does not end');
      }
      assert(!state.isRotationAsked);
      assert(state.signer.notAfterMs - nowMs > CA_LIFE_MS / 4);
    }),
  );
});

test('a step whose time lies far ahead is stamped anew instead of waited for', () => {
  const nowMs = 1_800_000_000_000;
  const state = { ...newState(ca(0, nowMs)), next: ca(1, nowMs), sinceMs: nowMs + DAY_MS };
  assert.equal(dueStep(state, nowMs), 'stamp');
  assert.equal(afterStep(state, 'stamp', nowMs, null).sinceMs, nowMs);
});
