/** The access log of a proxy inside the test process. */

import type { TestContext } from 'node:test';
import { AccessWriter } from '../../src/proxy/call/access.ts';
import { AccessLog } from '../../src/proxy/telemetry/access-log.ts';
import type { TestProxy } from './proxy.ts';

/** What the access log of the proxy writes from now on. */
export function accessLogOf(t: TestContext, proxy: TestProxy): { text: string } {
  const written = { text: '' };
  const sink = {
    write(buffer: Buffer, offset: number, length: number, done: (e: null, n: number) => void) {
      written.text += buffer.toString('latin1', offset, offset + length);
      done(null, length);
    },
    reopen(done: (error: null, isNew: boolean) => void) {
      done(null, true);
    },
    close() {},
  };
  const settings = { ...proxy.context.settings.accessLog, format: 'json' as const };
  const log = new AccessLog(settings, sink, proxy.clock);
  t.after(() => log.close());
  proxy.context.accessLog = new AccessWriter(log, proxy.context.clock, proxy.context.random);
  return written;
}
