/** The annotation of gRPC-Web. */

import { type AnnotationRow, row } from './row.ts';
import { listOf, type ValueType } from './value.ts';

/** As browsers serialise them; a wrong one would never be equal to what they say. */
const ORIGIN =
  /^[a-z][a-z0-9+.-]{0,31}:\/\/(?:[a-z0-9](?:[-.a-z0-9_]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[1-9]\d{0,4})?$/;
const DEFAULT_PORT: ReadonlyMap<string, string> = new Map([
  ['http', ':80'],
  ['https', ':443'],
]);
const ANY = '*';

const origin: ValueType<string> = {
  name: 'an origin such as https://app.example, or *',
  read(text) {
    const lower = text.toLowerCase();
    if (lower !== ANY && !ORIGIN.test(lower))
      return { ok: false, message: 'is not an origin: a scheme, a host and no path' };
    const port = DEFAULT_PORT.get(lower.slice(0, lower.indexOf(':')));
    const isDefault = port !== undefined && lower.endsWith(port);
    return { ok: true, value: isDefault ? lower.slice(0, -port.length) : lower };
  },
  print: (value) => value,
};

export const GRPC_WEB_ROWS: readonly AnnotationRow[] = [
  row('grpc-web', 'grpcWeb', 'origins', {
    type: listOf(origin, 'origins such as https://app.example separated by commas, or *'),
    default: { words: 'gRPC-Web is passed on as it comes' },
    text: 'Pages that may call in gRPC-Web, by their origins; `*` is all. Calls go on as gRPC, and browsers that ask for leave are answered. Callers that name no origin are no browsers, and may call. As long as it cannot be read, no page may.',
    example: 'https://app.example,http://localhost:5173',
    strict: () => ({ value: [], until: 'no page may call' }),
    lifts: true,
  }),
];
