import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createLog } from '../base/log.ts';
import { systemClock } from '../base/clock.ts';
import type { Problem } from '../model/service.ts';
import { ProblemLog } from './problem-log.ts';
import { aboutObject } from '../model/object-reference.ts';

const PROBLEM: Problem = {
  severity: 'error',
  ...aboutObject('Service', 'shop', 'web'),
  field: 'spec.ports[0].protocol',
  value: 'tcp',
  message: 'Protocol is not known',
  remedy: 'write TCP, UDP or SCTP',
  location: 'web.yaml:7:9',
};

/** The lines of the log without their times. */
async function linesOf(...shown: readonly (readonly Problem[])[]): Promise<readonly string[]> {
  const lines: string[] = [];
  const write = (line: string): void =>
    void lines.push(line.trimEnd().slice('2026-11-29T14:51:04.383Z '.length));
  const log = new ProblemLog(
    createLog({ level: 'info', format: 'common', clock: systemClock, write }),
  );
  for (const problems of shown) log.show(problems);
  return lines;
}

test('a line has object, field, value, remedy and place; what is fixed has one too', async () => {
  assert.deepEqual(await linesOf([PROBLEM], [PROBLEM], []), [
    'ERROR Service shop/web spec.ports[0].protocol is "tcp": Protocol is not known; write TCP, UDP or SCTP (web.yaml:7:9)',
    'INFO  Fixed: Service shop/web spec.ports[0].protocol',
  ]);
});

test('a mapping in a wrong place is not logged: it may have anything in it', async () => {
  const value = '[{name: web, env: [{name: PASSWORD, value: hunter2}]}]';
  const [line = ''] = await linesOf([{ ...PROBLEM, value }]);
  assert.match(line, /^ERROR Service shop\/web spec\.ports\[0\]\.protocol: Protocol/);
});

test('a problem of a whole file has no empty parts', async () => {
  const [line] = await linesOf([{ ...PROBLEM, object: 'a.yaml', field: '', value: '' }]);
  assert.equal(line, 'ERROR a.yaml: Protocol is not known; write TCP, UDP or SCTP (web.yaml:7:9)');
});
