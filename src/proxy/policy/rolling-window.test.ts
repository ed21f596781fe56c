import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RollingWindow, WINDOW_SECONDS } from './rolling-window.ts';

test('a window holds what came in this second and the nine before it', () => {
  const step = fc.record({
    gapMs: fc.nat({ max: 4_000 }),
    gain: fc.nat({ max: 9 }),
    reset: fc.nat({ max: 15 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.nat({ max: 1e6 }), (steps, startMs) => {
      const counters = new Float64Array([startMs, 7]);
      const window = new RollingWindow(counters, startMs);
      let gains: { second: number; gain: number }[] = [];
      let nowMs = startMs;
      for (const { gapMs, gain, reset } of steps) {
        nowMs += gapMs;
        counters[0]! += gain;
        counters[1]! += 2 * gain;
        const second = Math.floor(nowMs / 1000);
        if (reset === 0) {
          window.reset(counters);
          gains = [];
        } else gains.push({ second, gain });
        window.advance(nowMs, counters);
        const expected = gains
          .filter((one) => one.second > second - WINDOW_SECONDS)
          .reduce((sum, one) => sum + one.gain, 0);
        assert.equal(window.difference(0), expected);
        assert.equal(window.difference(1), 2 * expected);
      }
    }),
  );
});
