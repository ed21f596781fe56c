import assert from 'node:assert/strict';
import { test } from 'node:test';
import { difference, readRequests } from './requests.ts';

const NAME = 'apiserver_request_duration_seconds';
const LABELS = 'group="",resource="services",scope="resource",verb="APPLY",version="v1"';

test('readRequests() adds up what is of one kind, and the difference is what came since', () => {
  const before = readRequests(`${NAME}_sum{${LABELS}} 1\n${NAME}_count{${LABELS}} 10\n`);
  const after = readRequests(
    [
      '# HELP something else',
      `${NAME}_sum{${LABELS}} 2`,
      `${NAME}_bucket{${LABELS},le="0.1"} 1000`,
      `${NAME}_count{${LABELS}} 20`,
      `${NAME}_sum{${LABELS},dry_run="All"} 3`,
      `${NAME}_count{${LABELS},dry_run="All"} 30`,
      `${NAME}_count{group="",resource="pods",verb="APPLY"} 7`,
      'apiserver_request_total{code="429",verb="APPLY"} 4',
      'apiserver_request_total{code="200",verb="APPLY"} 40',
      'process_cpu_seconds_total 5',
    ].join('\n'),
  );
  assert.equal(after.refused - before.refused, 4);
  const found = difference(before, after);
  const applied = { what: 'apply a Service', count: 40, meanMs: 100 };
  assert.deepEqual(
    found.filter(({ count }) => count > 0),
    [applied],
  );
  assert.ok(found.every(({ meanMs }) => Number.isFinite(meanMs)));
});
