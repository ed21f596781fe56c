/** What docs/tasks/grpc.md says of the codes of gRPC is what the code does. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { GRPC_CODES, GRPC_CONDITIONS } from '../../src/model/grpc-status.ts';
import { GrpcCall } from '../../src/proxy/http/grpc-call.ts';
import { FRAMING_LENGTH, Head } from '../../src/proxy/head/head.ts';
import { sectionOf } from '../support/markdown-list.ts';
import { parseTables } from '../support/markdown-table.ts';

const PAGE = readFileSync(new URL('../../docs/tasks/grpc.md', import.meta.url), 'utf8');

/** What becomes of a call, with a deadline or without, that ends with this code in its trailers. */
function isFailure(code: number, hasDeadline: boolean): boolean {
  const call = new GrpcCall();
  const head = new Head(1);
  head.reset();
  head.framing = FRAMING_LENGTH;
  call.begin(Buffer.alloc(0), head, 0);
  if (hasDeadline) call.deadlineMs = 1_000;
  call.readHead(Buffer.alloc(0), head);
  call.readEnd(Buffer.from(`grpc-status: ${code}\r\n`), 200);
  return call.isFailure(200);
}

function failureWord(code: number): string {
  if (isFailure(code, true)) return 'yes';
  return isFailure(code, false) ? 'yes, unless the call had a deadline' : '';
}

test('docs/tasks/grpc.md lists every code with what it counts as, whether it blames the Pod, and its word of retry-on', () => {
  const [table] = parseTables(sectionOf(PAGE, '## What a status counts as'));
  assert.deepEqual(
    table?.rows,
    GRPC_CODES.map(({ name, http, retry }, code) => [
      `\`${name}\``,
      String(http),
      failureWord(code),
      retry === '' ? '' : `\`${retry}\``,
    ]),
  );
});

test('docs/tasks/grpc.md names every word of retry-on that is a code, and no other', () => {
  const [first = ''] = sectionOf(PAGE, '## Retries').split(' beside its');
  const said = [...first.matchAll(/`([a-z-]+)`/g)].map(([, word]) => word);
  assert.deepEqual(new Set(said), new Set(['retry-on', ...GRPC_CONDITIONS]));
});
