/** Addresses of this process alone, all in 127/8: two test processes at a time never want the same one. */

import { TestCa } from '../../support/certificates.ts';

/** Signs certificates of the endpoints. */
export const CA = await TestCa.make();

const second = 192 + (process.pid % 48);
const third = 16 * ((process.pid >> 6) % 16);

/** Range of the Services of the mesh under test. */
export const SERVICE_CIDR = `127.${second}.${third}.0/22`;
/** Addresses with a real server. */
export const ENDPOINTS = hosts(third + 4, 10);
/** Addresses that nothing listens on. */
export const DESERTED = hosts(third + 5, 2);
/** Addresses of pods that call, the last one of nobody. */
export const CALLERS = hosts(third + 6, 5);

function hosts(block: number, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `127.${second}.${block}.${i + 1}`);
}
