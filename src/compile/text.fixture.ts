/** Arbitrary text for tests of parsers. */

import * as fc from 'fast-check';

/** Any UTF-16 units, lone surrogates and control characters included; far cheaper to set up than `unit: 'binary'`. */
export const anyText = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
});
