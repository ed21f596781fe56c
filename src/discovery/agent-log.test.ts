import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { agentLog } from './agent-log.ts';
import { type LogLine, recordingLog } from './stream.fixture.ts';

test('a line about an agent is told once in ten seconds, with how often it was left out, and hides no other', () => {
  const clock = new ManualClock();
  const lines: LogLine[] = [];
  const log = agentLog(recordingLog(lines), clock);
  for (let time = 0; time < 5; time++) {
    log.info('came', { agent: 'maesh/a' });
    log.warn('left', { agent: 'maesh/a' });
  }
  log.info('came', { agent: 'maesh/b' });
  log.info('drains', { agents: 2 });
  log.info('drains', { agents: 1 });
  const shown = (): readonly string[] => lines.map(({ message, fields }) => `${message} ${fields}`);
  assert.deepEqual(shown(), [
    'came agent=maesh/a',
    'left agent=maesh/a',
    'came agent=maesh/b',
    'drains agents=2',
    'drains agents=1',
  ]);
  clock.advance(10_000);
  log.info('came', { agent: 'maesh/a' });
  assert.equal(shown().at(-1), 'came agent=maesh/a skipped=4');
});

test('an agent among thousands is remembered as long as it repeats', () => {
  const lines: LogLine[] = [];
  const log = agentLog(recordingLog(lines), new ManualClock());
  for (let other = 0; other < 10_000; other++) {
    log.info('came', { agent: 'maesh/busy' });
    log.info('came', { agent: `maesh/${other}` });
  }
  assert.equal(lines.filter(({ fields }) => fields === 'agent=maesh/busy').length, 1);
});
