/** Until when certificates of Secrets are good, for alerts. */

import { certificatesOf } from '../../model/certificates.ts';
import type { MetricShape } from './metric.ts';
import type { MetricsSource } from './metrics-source.ts';

export const CERTIFICATE_METRICS: readonly MetricShape[] = [
  {
    name: 'maesh_certificate_expiry_timestamp_seconds',
    type: 'gauge',
    labels: ['service', 'secret'],
    help: 'When the certificate of a Secret that a Service names is over, in seconds since 1970; only of those that can be used.',
    reading: { kind: 'figure', read: (source) => expiries(source) },
  },
];

function* expiries(source: MetricsSource) {
  for (const { key, ports } of source.services())
    for (const { secret, notAfterMs } of certificatesOf(ports))
      yield { labels: [key, secret], value: notAfterMs / 1_000 };
}
