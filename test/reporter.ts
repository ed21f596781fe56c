/** How `npm test` reports: as the reporter of Node for people does, and in the end one sentence about what was skipped and why. */

import { compose } from 'node:stream';
import { spec } from 'node:test/reporters';
import type { TestEvent } from 'node:test/reporters';

type Events = AsyncIterable<TestEvent>;

// oxlint-disable-next-line import/no-default-export -- node:test wants it
export default async function* report(events: Events): AsyncGenerator<string> {
  const skipped = new Map<string, number>();
  let groups = 0;
  async function* watched(): AsyncGenerator<TestEvent> {
    for await (const event of events) {
      const reason = skipOf(event);
      if (reason !== null) {
        skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
        if (isGroup(event)) groups++;
      }
      yield event;
    }
  }
  for await (const text of compose(watched, new spec())) yield String(text);
  yield `\n${sentence(skipped, groups)}\n`;
}

function skipOf(event: TestEvent): string | null {
  if (event.type !== 'test:pass' && event.type !== 'test:fail') return null;
  const { skip } = event.data;
  if (skip === undefined || skip === false) return null;
  return skip === true || skip === '' ? 'without a reason' : skip;
}

/** A `describe`: how many tests it has nobody knows when it is skipped. */
function isGroup(event: TestEvent): boolean {
  return event.type === 'test:pass' && event.data.details.type === 'suite';
}

/** "2 tests and 1 group of tests were skipped: dig is missing: install … (1); … (2)". */
export function sentence(skipped: ReadonlyMap<string, number>, groups = 0): string {
  const count = [...skipped.values()].reduce((sum, each) => sum + each, 0);
  if (count === 0) return 'No test was skipped.';
  const reasons = [...skipped].map(([reason, times]) => `${reason} (${times})`).join('; ');
  const tests = count - groups;
  const what = [
    ...(tests === 0 ? [] : [`${tests} ${tests === 1 ? 'test' : 'tests'}`]),
    ...(groups === 0 ? [] : [`${groups} ${groups === 1 ? 'group' : 'groups'} of tests`]),
  ];
  return `${what.join(' and ')} ${count === 1 ? 'was' : 'were'} skipped: ${reasons}.`;
}
