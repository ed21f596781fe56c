/** `node --import` this: every property of the tests gets more inputs, with fresh seeds: 50 times as many, or as `order.ts` says. */

import { registerHooks } from 'node:module';

const HERE = new URL('.', import.meta.url).href;
const WRAPPER = new URL('./fast-check.ts', import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const isTest = specifier === 'fast-check' && context.parentURL?.startsWith(HERE) !== true;
    return next(isTest ? WRAPPER : specifier, context);
  },
});
