import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMetrics } from './metrics-text.ts';
import { countsByService, WANTED } from './service-counts.ts';

const PAGE = `# HELP maesh_requests_total Requests.
# TYPE maesh_requests_total counter
maesh_requests_total{service="shop/web",code_class="2xx"} 90
maesh_requests_total{service="shop/web",code_class="5xx"} 7
maesh_requests_total{service="shop/web",code_class="none"} 3
maesh_retries_total{service="shop/web"} 11
maesh_failures_total{service="shop/web",reason="rate_limited"} 5
maesh_failures_total{service="shop/web",reason="connect_failed"} 6
maesh_breaker_state{service="shop/web",state="closed"} 0
maesh_breaker_state{service="shop/web",state="open"} 1
maesh_request_duration_seconds_bucket{service="shop/web",le="0.001"} 50
maesh_request_duration_seconds_bucket{service="shop/web",le="0.002"} 80
maesh_request_duration_seconds_bucket{service="shop/web",le="+Inf"} 100
maesh_heap_used_bytes 1e+7
maesh_retries_total{service="odd/\\"quoted\\""} 1
`;

test('countsByService() puts the metrics page together', () => {
  const services = countsByService(readMetrics(PAGE, (name) => WANTED.has(name)));
  assert.deepEqual(services.get('shop/web'), {
    byClass: [3, 0, 90, 0, 0, 7],
    retries: 11,
    rateLimited: 5,
  });
  assert.equal(services.get('odd/"quoted"')?.retries, 1);
});
