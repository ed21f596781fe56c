/** How times, sizes and shares are written: the same in annotations, flags, variables and files. */

const TIME_UNITS: readonly (readonly [string, number])[] = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
];

/** Milliseconds of `250ms`, `1.5s`, `1m30s` or `0`, perhaps not whole ones; null when it is no length of time. */
export function readDuration(text: string): number | null {
  if (text === '0') return 0;
  if (text.length > 64 || !/^(?:\d{1,12}(?:\.\d{1,9})?(?:h|ms|m|s))+$/.test(text)) return null;
  let total = 0;
  for (const [, number, unit] of text.matchAll(/([\d.]+)(h|ms|m|s)/g)) {
    total += Number(number) * (TIME_UNITS.find(([name]) => name === unit)?.[1] ?? 0);
  }
  return Math.round(total * 1e6) / 1e6;
}

/** `1m30s`; `readDuration` gives it back. */
export function printDuration(ms: number): string {
  if (ms === 0) return '0';
  let rest = ms;
  let text = '';
  for (const [unit, size] of TIME_UNITS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text;
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  gi: 1_073_741_824,
  mi: 1_048_576,
  ki: 1_024,
  G: 1_000_000_000,
  M: 1_000_000,
  k: 1_000,
  '': 1,
};

/** Bytes of `65536`, `64Ki`, `64KiB` or `64k`, perhaps not whole ones; null when it is no size. */
export function readSize(text: string): number | null {
  const match = /^(\d{1,15}(?:\.\d{1,9})?) ?([GMKgmk]i[Bb]?|[GMk]|)$/.exec(text);
  if (match === null) return null;
  const [, number, unit = ''] = match;
  const factor = SIZE_UNITS[unit.includes('i') ? unit.slice(0, 2).toLowerCase() : unit] ?? 1;
  return Number(number) * factor;
}

/** `64Ki`; `readSize` gives it back. */
export function printSize(bytes: number): string {
  for (const unit of ['Gi', 'Mi', 'Ki']) {
    const factor = SIZE_UNITS[unit.toLowerCase()] ?? 1;
    if (bytes > 0 && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}

/** `0.2`, `.2` or `20%` as a part of 1; null when it is none of these. It may be outside of 0 to 1. */
export function readRatio(text: string): number | null {
  const match = /^(-?(?:\d{1,9}(?:\.\d{1,9})?|\.\d{1,9}))(%?)$/.exec(text);
  return match === null ? null : Number(match[1]) / (match[2] === '%' ? 100 : 1);
}

/**
 * `20,000`, of a whole number. By hand, since commands do it while they load: the first number that the runtime formats for a
 * language costs 10 ms.
 */
export function groupDigits(value: number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, ',');
}
