/** Whether what filters changed on a request and its response is what explain said. */

import type {
  ChangeFacts,
  Explanation,
  FieldFacts,
  Outcome,
} from '../../../src/explain/explanation.ts';
import type { Response } from './caller.ts';

const NOTHING: ChangeFacts = {
  target: null,
  host: null,
  removed: [],
  added: [],
  response: { removed: [], added: [] },
};

/** Fields that only filters add begin with it. */
export const MARK = 'x-filter';

/** What does not fit with the heads that endpoints got, as a sentence; null when everything does. */
export function headFault(
  { request }: Explanation,
  changes: ChangeFacts | null,
  heads: readonly string[],
): string | null {
  const { target, host, removed, added } = changes ?? NOTHING;
  for (const head of heads) {
    const [line = '', ...fields] = head.split('\r\n');
    const sent = line.split(' ')[1];
    if (sent !== (target ?? request.target))
      return `target ${sent} was sent, explain says ${target}`;
    const named = fields[0]?.slice('Host: '.length);
    const wanted = host ?? request.host;
    if (wanted !== '' && named !== wanted) return `host ${named} was sent, explain says ${wanted}`;
    const fault = fieldFault(fields.map(pairOf), removed, added);
    if (fault !== null) return `in the request ${fault}`;
  }
  return null;
}

/** The same for the response of an endpoint. */
export function responseFault(changes: ChangeFacts | null, answer: Response): string | null {
  const { removed, added } = (changes ?? NOTHING).response;
  const fault = fieldFault([...answer.fields], removed, added);
  return fault === null ? null : `in the response ${fault}`;
}

/** The same for an answer that redirects. */
export function redirectFault(outcome: Outcome | undefined, answer: Response): string | null {
  if (outcome?.kind !== 'redirected') return 'an answer from nowhere';
  const { status, location, added } = outcome;
  const got = answer.fields.get('location');
  if (answer.status !== status || got !== location)
    return `redirected with ${answer.status} to ${got}, explain says ${status} to ${location}`;
  return fieldFault([...answer.fields], [], added);
}

type Pair = readonly [name: string, value: string];

function pairOf(line: string): Pair {
  const colon = line.indexOf(':');
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

function fieldFault(
  fields: readonly Pair[],
  removed: readonly string[],
  added: readonly FieldFacts[],
): string | null {
  const values = (name: string): string[] =>
    fields.filter(([each]) => each === name).map(([, value]) => value);
  const names = new Set(added.map(({ name }) => name));
  for (const name of names) {
    const wanted = added.filter((each) => each.name === name).map(({ value }) => value);
    const got = values(name);
    const isWhole = removed.includes(name) || name.startsWith(MARK);
    const fits = isWhole ? got : got.slice(-wanted.length);
    if (fits.join('\n') !== wanted.join('\n'))
      return `field ${name} is ${got.join(' and ')}, explain says ${wanted.join(' and ')}`;
  }
  const left = removed.find((name) => !names.has(name) && values(name).length > 0);
  if (left !== undefined) return `field ${left} is still there, explain says that it is removed`;
  const surprise = fields.find(([name]) => name.startsWith(MARK) && !names.has(name));
  return surprise === undefined ? null : `field ${surprise[0]} is there, explain does not say so`;
}
