/** The annotations of failover. */

import { DEFAULT_FAILOVER } from '../../model/defaults.ts';
import { type AnnotationRow, row } from './row.ts';
import { duration, ratio, type ValueType } from './value.ts';

const HOUR = 3_600_000;
/** A name of Kubernetes, with or without a namespace before it. */
export const SERVICE =
  /^(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\/)?[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

const service: ValueType<string> = {
  name: 'the name of a Service, such as web-dr or shop/web-dr',
  read: (text) =>
    SERVICE.test(text)
      ? { ok: true, value: text }
      : { ok: false, message: 'is not the name of a Service' },
  print: (value) => value,
};

export const FAILOVER_ROWS: readonly AnnotationRow[] = [
  row('failover', 'failover', 'service', {
    type: service,
    default: { words: 'no failover' },
    text: 'Service that takes over when this one has no usable endpoint: ready, not ejected, and not failing its health checks. The port of the same number takes over; without a namespace it is in the namespace of this Service.',
    example: 'shop/web-dr',
    lifts: true,
  }),
  row('failover-below', 'failover', 'below', {
    type: ratio,
    default: DEFAULT_FAILOVER.below,
    text: 'It takes over, too, when a smaller share of the endpoints than this is usable.',
    example: '0.3',
  }),
  row('failover-return', 'failover', 'returnMs', {
    type: duration(0, HOUR),
    default: DEFAULT_FAILOVER.returnMs,
    text: 'Time over which requests come back, a growing share of them, once enough endpoints are usable again.',
    example: '1m',
  }),
];
