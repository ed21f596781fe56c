/** Responses of HTTP/2 that are over with their head: a caller of HTTP/1.1 knows where they end, too. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { grpcEndpoint, grpcFor } from '../support/grpc.ts';

for (const [status, method, length] of [
  [200, 'GET', '0'],
  [404, 'POST', '0'],
  [503, 'GET', '0'],
  [200, 'HEAD', null],
  [204, 'GET', null],
  [304, 'GET', null],
] as const)
  for (const version of ['1.1', '1.0'])
    test(`HTTP/${version}: ${status} without content to ${method} ends with its head`, async (t) => {
      const endpoint = await grpcEndpoint(t, (stream, { ':path': path = '' }) =>
        stream.respond({ ':status': status, path }, { endStream: true }),
      );
      const { proxy, service } = await grpcFor(t, [endpoint]);
      const caller = await proxy.call(service);
      for (const path of ['/a', '/b']) {
        const kept = version === '1.0' ? 'Connection: keep-alive\r\n' : '';
        caller.write(`${method} ${path} HTTP/${version}\r\nHost: a\r\n${kept}\r\n`);
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const head = await caller.head();
        assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `));
        assert.match(head, new RegExp(`\r\npath: ${path}\r\n`));
        const [, said = null] = /\r\ncontent-length: (\d+)\r\n/i.exec(head) ?? [];
        assert.equal(said, length);
        assert.doesNotMatch(head, /transfer-encoding|connection: close/i);
      }
    });
