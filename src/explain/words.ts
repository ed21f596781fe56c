/** How explanations put values into words. */

import type { RateLimitPolicy } from '../model/policy.ts';

const HOUR_MS = 3_600_000;

/** `1.5 s`, `20 ms`, `5 min`, `24 h`. */
export function duration(ms: number): string {
  if (ms >= HOUR_MS && ms % HOUR_MS === 0) return `${ms / HOUR_MS} h`;
  if (ms >= 60_000 && ms % 60_000 === 0) return `${ms / 60_000} min`;
  if (ms >= 1_000) return `${Number((ms / 1_000).toFixed(3))} s`;
  return `${Number(ms.toFixed(3))} ms`;
}

/** `33.3 %`; what is more than nothing and less than everything never looks so. */
export function percent(share: number): string {
  if (share <= 0) return '0 %';
  if (share >= 1) return '100 %';
  const value = share * 100;
  if (value < 0.1) return '< 0.1 %';
  return value > 99.9 ? '> 99.9 %' : `${Number(value.toFixed(1))} %`;
}

export function count(amount: number, noun: string): string {
  return `${amount.toLocaleString('en-US')} ${noun}${amount === 1 ? '' : 's'}`;
}

/** `10 per 1 s and at most 20 at once, for each caller`. */
export function rateText({ average, periodMs, burst, per }: RateLimitPolicy): string {
  const whose = per === 'caller' ? 'for each caller' : 'for all callers together';
  return `${average} per ${duration(periodMs)} and at most ${burst} at once, ${whose}`;
}

export function bytes(amount: number): string {
  return count(amount, 'byte');
}
