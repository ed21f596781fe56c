import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { RULE_NAMES } from '../head/rule.ts';
import { type BrokenRule, BrokenRules, LOG_EVERY_MS, LOG_LINES_MAX } from './broken-rules.ts';

const BROKEN: BrokenRule = {
  rule: 'host_missing',
  reason: 'bad_request',
  service: 'shop/web',
  caller: '127.0.0.1',
  endpoint: '',
};

function watch(): { clock: ManualClock; rules: BrokenRules; lines: string[] } {
  const clock = new ManualClock();
  const rules = new BrokenRules(clock);
  const lines: string[] = [];
  rules.onLog = ({ rule, service, endpoint }, skipped) =>
    lines.push(`${service} ${endpoint}${rule} ${skipped}`);
  return { clock, rules, lines };
}

test('a rule is told of once in a minute for one Service, with what was left out', () => {
  const { clock, rules, lines } = watch();
  for (let i = 0; i < 5; i++) rules.report(BROKEN);
  rules.report({ ...BROKEN, service: 'shop/api' });
  rules.report({ ...BROKEN, endpoint: '10.0.0.1:80 ', reason: 'bad_response' });
  clock.advance(LOG_EVERY_MS);
  rules.report(BROKEN);
  assert.deepEqual(lines, [
    'shop/web host_missing 0',
    'shop/api host_missing 0',
    'shop/web 10.0.0.1:80 host_missing 0',
    'shop/web host_missing 4',
  ]);
  const at = 2 * RULE_NAMES.indexOf('host_missing');
  assert.deepEqual(rules.counts.slice(at, at + 2), [7, 1]);
  assert.equal(
    rules.counts.reduce((sum, count) => sum + count),
    8,
  );
});

test('many Services cannot fill the log, nor memory', () => {
  const { clock, rules, lines } = watch();
  for (let i = 0; i < 10_000; i++) rules.report({ ...BROKEN, service: `shop/s${i}` });
  assert.equal(lines.length, LOG_LINES_MAX);
  clock.advance(LOG_EVERY_MS);
  rules.report({ ...BROKEN, service: 'shop/s9999' });
  assert.equal(lines.at(-1), 'shop/s9999 host_missing 1');
});
