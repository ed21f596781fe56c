/** Who reads the wall clock, which may jump. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Where the wall clock may be read, and why. Everything else goes by the monotonic clock. */
const WALL_CLOCK_READERS: Readonly<Record<string, string>> = {
  'src/base/clock.ts': 'is the clock',
  'src/base/log.ts': 'time of a line of the log',
  'src/base/guard.ts': 'passes on the clock that it guards',
  'src/cli/explain.ts': 'is compared with the ends of certificates, likewise',
  'src/cli/load.ts': 'is compared with the ends of certificates, to tell of those that end soon',
  'src/cli/pre-check.ts': 'time in the text of the plan, for people',
  'src/discovery/copy.ts': 'is compared with the time of a file, which is wall time',
  'src/discovery/copy-writer.ts': 'becomes the time of a file',
  'src/proxy/http/date-line.ts': 'value of the Date field',
  'src/proxy/call/access.ts': 'time of a line of the access log',
  'src/run/controller/control-plane.ts': 'is compared with the ends of certificates, likewise',
  'src/run/up/manifests.ts': 'is compared with the ends of certificates, likewise',
  'src/run/agent/admin-view.ts': 'start time of the process among the metrics',
  'src/kube/folder/files.ts': 'is compared with the time of a file, which is wall time',
  'src/kube/folder/tree.ts': 'is compared with the time of a folder, which is wall time',
  'src/kube/api/exec-plugin.ts': 'is compared with the end of a credential',
  'src/authority/authority.ts': 'from when to when a certificate holds',
  'src/authority/token.ts': 'is compared with the end of a token',
  'src/cluster-dns/cluster-dns-controller.ts':
    'times in the copy of what was before; one says that the DNS is to be left alone',
  'src/events/event-recorder.ts': 'times of Events, which other replicas wrote too',
  'src/leader/leader-election.ts':
    'times in a Lease, for people; its end is counted by the monotonic clock',
  'src/leader/replica-leases.ts':
    'times in a Lease, for people; its end is counted by the monotonic clock',
  'src/shadow/quarantine.ts':
    'is compared with the time in an annotation, which outlives the process',
  'src/install/facts/gather.ts': 'is compared with the times of objects, to tell their age',
};

test('the wall clock is read for what others wrote or read only', () => {
  const root = fileURLToPath(new URL('../', import.meta.url));
  const readers = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/\.(test|fixture)\.ts$/.test(path))
    .map((path) => join('src', path))
    .filter((path) =>
      /wallMs\(|Date\.now|new Date\(\)/.test(readFileSync(join(root, path), 'utf8')),
    );
  assert.deepEqual(readers.toSorted(), Object.keys(WALL_CLOCK_READERS).toSorted());
});
