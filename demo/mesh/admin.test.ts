import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toSample } from './admin.ts';

test('toSample() joins the answers of the admin API', () => {
  const sample = toSample(5, {
    stats: JSON.stringify({
      version: 1,
      services: [
        { key: 'shop/web', breaker: 'open', p50Ms: 2, p95Ms: 3, p99Ms: 4 },
        { key: 'shop/quiet', breaker: 'none', p50Ms: null, p95Ms: null, p99Ms: null },
      ],
    }),
    endpoints: JSON.stringify({
      version: 1,
      endpoints: [
        {
          service: 'shop/web',
          address: '127.1.0.2',
          pod: 'shop/web-2',
          health: 'probing',
          requests: 4,
          inFlight: 1,
        },
        {
          service: 'shop/web',
          address: '127.1.0.1',
          pod: '',
          health: 'healthy',
          requests: 6,
          inFlight: 0,
        },
      ],
    }),
    metrics: 'maesh_requests_total{service="shop/web",code_class="2xx"} 10\n',
  });
  assert.deepEqual(sample, {
    atMs: 5,
    services: [
      {
        name: 'web',
        byClass: [0, 0, 10, 0, 0, 0],
        retries: 0,
        rateLimited: 0,
        breaker: 'open',
        p50: 2,
        p95: 3,
        p99: 4,
        endpoints: [
          { pod: '127.1.0.1', health: 'ready', requests: 6, inFlight: 0 },
          { pod: 'web-2', health: 'probing', requests: 4, inFlight: 1 },
        ],
      },
      {
        name: 'quiet',
        byClass: [0, 0, 0, 0, 0, 0],
        retries: 0,
        rateLimited: 0,
        breaker: 'none',
        p50: Number.NaN,
        p95: Number.NaN,
        p99: Number.NaN,
        endpoints: [],
      },
    ],
  });
});
