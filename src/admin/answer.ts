/** What a path of the admin server answers: small bodies whole, large ones as parts that are made while they are sent. */

import { printableJson } from '../base/printable.ts';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  /** Nothing of an iterable body is made before it is read. */
  readonly body: string | Iterable<string> | AsyncIterable<string>;
  readonly headers?: Readonly<Record<string, string>>;
}

export type AnswerError =
  | 'bad_query'
  | 'host_not_allowed'
  | 'not_found'
  | 'method_not_allowed'
  | 'too_busy'
  | 'internal';

const JSON_TYPE = 'application/json; charset=utf-8';

export function json(value: unknown, status = 200): Answer {
  return { status, contentType: JSON_TYPE, body: `${printableJson(value)}\n` };
}

/** `message` is for a person, `more` goes beside it. */
export function jsonError(
  status: number,
  error: AnswerError,
  message: string,
  more: object = {},
): Answer {
  return json({ error, message, ...more }, status);
}

/** An object whose fields are either values or lists that are made item by item. */
export function jsonLists(
  fields: Readonly<Record<string, unknown>>,
  lists: Readonly<Record<string, () => Iterable<unknown>>>,
): Answer {
  return {
    status: 200,
    contentType: JSON_TYPE,
    body: { [Symbol.iterator]: () => listParts(fields, lists) },
  };
}

function* listParts(
  fields: Readonly<Record<string, unknown>>,
  lists: Readonly<Record<string, () => Iterable<unknown>>>,
): Generator<string, void, undefined> {
  let separator = '{';
  for (const [name, value] of Object.entries(fields)) {
    yield `${separator}${printableJson(name)}:${printableJson(value)}`;
    separator = ',';
  }
  for (const [name, items] of Object.entries(lists)) {
    yield `${separator}${printableJson(name)}:[`;
    separator = '';
    for (const item of items()) {
      yield `${separator}${printableJson(item)}`;
      separator = ',';
    }
    yield ']';
    separator = ',';
  }
  yield '}\n';
}
