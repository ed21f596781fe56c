/** The annotation of routes. What it says is read by `read-routes.ts`, which tells of each mistake by itself. */

import { type AnnotationRow, plainRow } from './row.ts';
import type { ValueType } from './value.ts';

const list: ValueType<string> = {
  name: 'a list of routes in YAML',
  read: (value) => ({ ok: true, value }),
  print: (value) => value,
};

export const ROUTES_ROWS: readonly AnnotationRow[] = [
  plainRow<string>('routes', 'routes', {
    type: list,
    default: { words: 'one route, which takes everything to the Service itself' },
    lifts: true,
    text: 'Where connections of a TCP port go, by the server name (SNI) and the protocols (ALPN) that callers ask for in their TLS, which is passed on as it is.',
    example: '[{match: HostSNI(`a.shop.maesh`), to: [{service: web-a, port: 8443}]}]',
  }),
];
