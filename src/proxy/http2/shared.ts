/** The scratch memory of all HTTP/2 on one proxy thread. */

import type { ThreadContext } from '../http/context.ts';
import { FieldList } from './codec/field-list.ts';

/** Lines `X-Forwarded-*` grow with the head that they are made of. */
const LINES_SLACK_BYTES = 1_024;

export class Http2Shared {
  readonly context: ThreadContext;
  /** The fields that were decoded last. */
  readonly list: FieldList;
  /** Scratch for lines that are written anew. */
  readonly lines: Buffer;

  constructor(context: ThreadContext) {
    const { headBytesMax, headFieldsMax } = context.settings;
    this.context = context;
    this.list = new FieldList({ bytesMax: headBytesMax, fieldsMax: headFieldsMax });
    this.lines = Buffer.allocUnsafeSlow(2 * headBytesMax + LINES_SLACK_BYTES);
  }
}
