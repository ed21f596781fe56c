/**
 * Numbers for fields that come again and again with the same name and value: who has seen the number before need not look at the
 * bytes. No number ever stands for two fields.
 */

/** No number: the bytes must be looked at. */
export const NO_STAMP = 0;
/** Those below it are the indexes of the static table of HTTP/2. */
export const STAMP_FIRST = 128;
/** Two apart: the number behind a stamp stands for the same value under another name. */
const STEP = 2;

let next = STAMP_FIRST;

export function newStamp(): number {
  const stamp = next;
  next += STEP;
  return stamp;
}

/** For the value of a field with this stamp as that of X-Forwarded-Host. */
export function asForwardedHost(stamp: number): number {
  return stamp < STAMP_FIRST ? NO_STAMP : stamp + 1;
}
