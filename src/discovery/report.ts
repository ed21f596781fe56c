/** What an agent tells of its callers: Services that fail them. A controller that does not know the message skips it. */

import { type Trouble, troublesOf } from '../model/trouble.ts';
import { asFields, listField } from './fields.ts';
import { FRAME_TYPE, type Frame } from './frame.ts';
import { readPlain, valueFrame } from './payload.ts';

/** Troubles of one agent; the worst come first. */
const TROUBLES_MAX = 100;

export function reportFrame(troubles: readonly Trouble[]): Buffer {
  const head = { type: FRAME_TYPE.report, flags: 0, version: 0 };
  return valueFrame(head, { troubles: troublesOf(troubles, TROUBLES_MAX) });
}

/** Kinds that only a newer agent knows are left out. @throws MeshError `invalid_input` */
export function readReport(frame: Frame): readonly Trouble[] {
  const fields = asFields(readPlain(frame), 'report');
  return troublesOf(listField(fields, 'troubles'), TROUBLES_MAX);
}
