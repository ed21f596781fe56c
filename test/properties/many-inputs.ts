/** `node --import` this: every property of the tests gets MAESH_TEST_INPUTS times its inputs (default 50), with fresh seeds. */

import { registerHooks } from 'node:module';

const WRAPPER = new URL('./fast-check.ts', import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const isTest = specifier === 'fast-check' && context.parentURL !== WRAPPER;
    return next(isTest ? WRAPPER : specifier, context);
  },
});
