/** Fuzz target of the ClientHello: two readers, and every way to cut it, must agree. */

import { isDeepStrictEqual } from 'node:util';
import { HelloReader } from '../../src/proxy/hello/hello-reader.ts';
import { HELLO_PARTIAL, HelloWatch } from '../../src/proxy/net/tls/hello-watch.ts';
import { HELLO_PIECES, helloSeeds, tellHello } from '../support/client-hello.ts';
import { type FuzzTarget, invariant } from './target.ts';

function readIn(input: Buffer, step: number): HelloReader {
  const reader = new HelloReader();
  for (let at = 0; at < input.length; at += step)
    reader.push(input, at, Math.min(at + step, input.length));
  return reader;
}

function told(reader: HelloReader): unknown {
  return reader.fault === null ? (reader.hello ?? 'more') : 'bad';
}

/** As whoever keeps no byte sees it: `whole` may still be wrong inside. */
function watchIn(input: Buffer, step: number): 'more' | 'bad' | 'whole' {
  const watch = new HelloWatch();
  for (let at = 0; at < input.length; at += step)
    if (watch.feed(input, at, Math.min(at + step, input.length)) !== HELLO_PARTIAL)
      return watch.fault === null ? 'whole' : 'bad';
  return 'more';
}

const hello: FuzzTarget = {
  name: 'client-hello',
  seeds: helloSeeds(),
  dictionary: HELLO_PIECES,
  run(input) {
    const wanted = tellHello(input);
    const step = 1 + ((input[input.length >> 1] ?? 0) % 40);
    for (const each of [Math.max(input.length, 1), step]) {
      const reader = readIn(input, each);
      const seen = told(reader);
      invariant(isDeepStrictEqual(seen, wanted), `${JSON.stringify([seen, wanted])} by ${each}`);
      invariant(reader.kept.equals(input), 'bytes were changed');
      const state = watchIn(input, each);
      const fits = state === 'whole' ? wanted !== 'more' : state === wanted;
      invariant(fits, `${state}, ${JSON.stringify(wanted)} by ${each}`);
    }
  },
};

export const TLS_TARGETS: readonly FuzzTarget[] = [hello];
