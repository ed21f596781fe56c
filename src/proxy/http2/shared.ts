/** What all HTTP/2 on one proxy thread shares: scratch memory, and what became of floods. */

import type { ThreadContext } from '../http/context.ts';
import { FieldList } from './codec/field-list.ts';
import { FLOODS, type Flood } from './floods.ts';

/** Lines `X-Forwarded-*` grow with the head that they are made of. */
const LINES_SLACK_BYTES = 1_024;

export class Http2Shared {
  readonly context: ThreadContext;
  /** The fields that were decoded last. */
  readonly list: FieldList;
  /** Scratch for lines that are written anew. */
  readonly lines: Buffer;
  readonly #floods = new Float64Array(FLOODS.length);

  constructor(context: ThreadContext) {
    const { headBytesMax, headFieldsMax } = context.settings;
    this.context = context;
    this.list = new FieldList({ bytesMax: headBytesMax, fieldsMax: headFieldsMax });
    this.lines = Buffer.allocUnsafeSlow(2 * headBytesMax + LINES_SLACK_BYTES);
  }

  /** Sessions that ended because there was too much of that. */
  floods(flood: Flood): number {
    return this.#floods[FLOODS.indexOf(flood)] ?? 0;
  }

  countFlood(flood: Flood): void {
    const at = FLOODS.indexOf(flood);
    this.#floods[at] = (this.#floods[at] as number) + 1;
  }
}
