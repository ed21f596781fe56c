/** The handshake of a WebSocket, and what of it the versions of HTTP say differently: RFC 6455 §4, RFC 8441 §5. */

import { createHash } from 'node:crypto';
import type { Random } from '../../base/random.ts';
import { ExtraFields } from '../head/field-changes.ts';
import { HeadEdit } from '../head/filter.ts';
import { isListSeparator, isWord } from '../head/grammar.ts';
import { FIELD_STRIDE, FIELD_UPGRADE, FRAMING_NONE, type Head, METHOD_GET } from '../head/head.ts';
import { dropNamed, findNamed } from '../head/named.ts';

const KEY = 'sec-websocket-key';
const ACCEPT = 'sec-websocket-accept';
const VERSION = 'sec-websocket-version';
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const KEY_BYTES = 16;
/** Of 16 bytes in base64. */
const KEY_TEXT = /^[A-Za-z0-9+/]{22}==$/;

/** Whether the head came as Extended CONNECT; then it has no key, and its method counts as GET. */
export function isExtendedConnect(head: Head): boolean {
  return head.protocolEnd > head.protocolStart;
}

/** Whether the request can be said as Extended CONNECT: it is one, or a whole handshake of HTTP/1.1. */
export function asksForWebSocket(data: Buffer, head: Head): boolean {
  if (!head.upgrade) return false;
  if (isExtendedConnect(head)) return true;
  const isBare = head.method === METHOD_GET && head.framing === FRAMING_NONE;
  return isBare && listsWebSocket(data, head) && keyOf(data, head) !== '';
}

/** Whether a 101 switches to it and to nothing else. One that was made of another version's answer lists nothing. */
export function switchesToWebSocket(data: Buffer, head: Head): boolean {
  return head.upgrades === 0 || (head.upgrades === 1 && listsWebSocket(data, head));
}

function listsWebSocket(data: Buffer, head: Head): boolean {
  const size = head.count * FIELD_STRIDE;
  for (let at = 0; at < size; at += FIELD_STRIDE) {
    if (head.fields[at] !== FIELD_UPGRADE) continue;
    const end = head.fields[at + 4] as number;
    let start = head.fields[at + 3] as number;
    while (start < end) {
      let stop = start;
      while (stop < end && !isListSeparator(data[stop] as number)) stop++;
      if (isWord(data, start, stop, 'websocket')) return true;
      start = stop + 1;
    }
  }
  return false;
}

/** The key of a handshake of HTTP/1.1; '' without a good one. */
export function keyOf(data: Buffer, head: Head): string {
  const key = onlyValue(data, head, KEY);
  return KEY_TEXT.test(key) ? key : '';
}

/** The value of a field that is there once; else ''. */
function onlyValue(data: Buffer, head: Head, name: string): string {
  const at = findNamed(data, head, name);
  if (at < 0 || findNamed(data, head, name, at + FIELD_STRIDE) >= 0) return '';
  return data.toString('latin1', head.fields[at + 3], head.fields[at + 4]);
}

/** Key and proof belong to one connection of HTTP/1.1, and stay behind. */
export function dropProof(data: Buffer, head: Head): void {
  dropNamed(data, head, KEY);
  dropNamed(data, head, ACCEPT);
}

/** What a server answers to a key. */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}${GUID}`).digest('base64');
}

export function newKey(random: Random): string {
  const bytes = Buffer.alloc(KEY_BYTES);
  for (let i = 0; i < KEY_BYTES; i++) bytes[i] = random.next() * 256;
  return bytes.toString('base64');
}

/** An Extended CONNECT as HTTP/1.1: what is added to the head, beside `edit`. What is not said there is marked in the head. */
export function asUpgrade(data: Buffer, head: Head, edit: HeadEdit | null, key: string): HeadEdit {
  const hasVersion = findNamed(data, head, VERSION) >= 0;
  dropProof(data, head);
  const changed = edit ?? new HeadEdit();
  changed.extra = new ExtraFields([
    ...(changed.extra?.list ?? []),
    { name: 'Connection', value: 'Upgrade' },
    { name: 'Upgrade', value: 'websocket' },
    { name: 'Sec-WebSocket-Key', value: key },
    ...(hasVersion ? [] : [{ name: 'Sec-WebSocket-Version', value: '13' }]),
  ]);
  return changed;
}

/** Whether a 101 proves that its endpoint has read our key. What proves it stays behind. */
export function provesKey(data: Buffer, head: Head, key: string): boolean {
  const isProof = onlyValue(data, head, ACCEPT) === acceptOf(key);
  dropProof(data, head);
  return isProof && head.upgrades === 1 && listsWebSocket(data, head);
}

/** The lines by which an answer to Extended CONNECT becomes a 101 to a caller with this key. */
export function switchLines(key: string): Buffer {
  return Buffer.from(
    `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n`,
  );
}
