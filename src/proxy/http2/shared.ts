/** The scratch memory of all HTTP/2 on one proxy thread. */

import type { ThreadContext } from '../http/context.ts';
import { RecentBlocks } from './codec/recent-blocks.ts';

/** Lines `X-Forwarded-*` grow with the head that they are made of. */
const LINES_SLACK_BYTES = 1_024;

export class Http2Shared {
  readonly context: ThreadContext;
  readonly blocks: RecentBlocks;
  /** Scratch for lines that are written anew. */
  readonly lines: Buffer;

  constructor(context: ThreadContext) {
    const { headBytesMax, headFieldsMax } = context.settings;
    this.context = context;
    this.blocks = new RecentBlocks({ bytesMax: headBytesMax, fieldsMax: headFieldsMax });
    this.lines = Buffer.allocUnsafeSlow(2 * headBytesMax + LINES_SLACK_BYTES);
  }

  /** A session reads. */
  beginRead(): void {
    this.context.beginRead();
  }

  endRead(): void {
    this.context.endRead();
    this.blocks.forget();
  }
}
