/** Annotation values that name fields of a request, and the expression of a circuit breaker. */

import type { RequestKey } from '../../model/policy.ts';
import { parseBreaker } from '../expression/breaker.ts';
import { describeFault } from '../expression/fault.ts';
import type { Read, ValueType } from './value.ts';

/** `token` of RFC 9110 §5.6.2, which names of header fields and cookies (RFC 6265 §4.1.1) are. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/;

/** The name of a cookie. */
export const cookieName: ValueType<string> = {
  name: "a cookie name of up to 64 letters, digits and !#$%&'*+-.^_`|~",
  read: (text) =>
    TOKEN.test(text) ? { ok: true, value: text } : { ok: false, message: 'is not a cookie name' },
  print: (value) => value,
};

/** What a request is told apart by. */
export const requestKey: ValueType<RequestKey> = {
  name: 'source, header:NAME or cookie:NAME',
  read(text): Read<RequestKey> {
    if (text === 'source') return { ok: true, value: { kind: 'source' } };
    const colon = text.indexOf(':');
    const kind = text.slice(0, Math.max(0, colon));
    const name = text.slice(colon + 1);
    if (kind !== 'header' && kind !== 'cookie') return { ok: false, message: 'is not known' };
    if (!TOKEN.test(name)) return { ok: false, message: `does not name a ${kind}` };
    // Header field names are compared without case, cookie names with it.
    return { ok: true, value: { kind, name: kind === 'header' ? name.toLowerCase() : name } };
  },
  print: (key) => (key.kind === 'source' ? 'source' : `${key.kind}:${key.name}`),
};

/** A circuit-breaker expression that parses; the value is its text. */
export const breakerExpression: ValueType<string> = {
  name:
    'an expression of NetworkErrorRatio(), ResponseCodeRatio(from, to, dividedByFrom, dividedByTo) and ' +
    'LatencyAtQuantileMS(quantile), compared with a number and joined by &&, || and !',
  read(text) {
    const parsed = parseBreaker(text);
    return parsed.ok
      ? { ok: true, value: text }
      : { ok: false, message: `cannot be read at ${describeFault(text, parsed.error)}` };
  },
  print: (value) => value,
};
