/** ClientHellos as tests want them, byte by byte, and a second reader for them that shares nothing with that of the proxy. */

export interface HelloParts {
  /** Null for no extension of this kind. */
  readonly name?: string | Buffer | null;
  readonly protocols?: readonly string[];
  /** Further extensions, in front. */
  readonly extensions?: readonly Buffer[];
  /** No extensions at all, as in TLS 1.0. */
  readonly isBare?: boolean;
  /** Bytes of the message in each record. */
  readonly recordBytes?: number;
  readonly version?: number;
}

const RECORD_BYTES_MAX = 16_384;
const HELLO_MAX = 32_768;

export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

export function extension(type: number, content: Buffer): Buffer {
  return Buffer.concat([u16(type), u16(content.length), content]);
}

function listed(...items: readonly Buffer[]): Buffer {
  const all = Buffer.concat(items);
  return Buffer.concat([u16(all.length), all]);
}

export function serverName(name: string | Buffer, kind = 0): Buffer {
  const bytes = Buffer.from(name as string, 'latin1');
  return Buffer.concat([Buffer.from([kind]), u16(bytes.length), bytes]);
}

export function serverNames(...names: readonly Buffer[]): Buffer {
  return extension(0, listed(...names));
}

export function alpn(protocols: readonly string[]): Buffer {
  const names = protocols.map((each) => Buffer.from(each, 'latin1'));
  return extension(16, listed(...names.map((name) => Buffer.from([name.length, ...name]))));
}

/** The handshake message. */
export function helloMessage(parts: HelloParts = {}): Buffer {
  const { name = 'a.example', protocols = [], extensions = [], isBare = false } = parts;
  const all = [
    ...extensions,
    ...(name === null ? [] : [serverNames(serverName(name))]),
    ...(protocols.length === 0 ? [] : [alpn(protocols)]),
  ];
  const body = Buffer.concat([
    u16(parts.version ?? 0x0303),
    Buffer.alloc(32, 7),
    Buffer.from([0]),
    u16(4),
    Buffer.from([0x13, 0x01, 0xc0, 0x2f, 1, 0]),
    ...(isBare ? [] : [listed(...all)]),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  length[0] = 1;
  return Buffer.concat([length, body]);
}

export function inRecords(message: Buffer, recordBytes = RECORD_BYTES_MAX): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += recordBytes) {
    const part = message.subarray(at, at + recordBytes);
    records.push(Buffer.from([22, 3, 1]), u16(part.length), part);
  }
  return Buffer.concat(records);
}

export function clientHello(parts: HelloParts = {}): Buffer {
  return inRecords(helloMessage(parts), parts.recordBytes);
}

/** Inputs that mutations start from. */
export function helloSeeds(): readonly Buffer[] {
  return [
    clientHello(),
    clientHello({ protocols: ['h2', 'http/1.1'], extensions: GREASE }),
    clientHello({ name: null, recordBytes: 3 }),
    clientHello({ name: '127.0.0.1', recordBytes: 1 }),
    clientHello({ isBare: true, version: 0x0301 }),
    clientHello({ extensions: [extension(51, Buffer.alloc(1_200, 1))], recordBytes: 700 }),
  ];
}

/** Pieces of syntax that mutations put in. */
export const HELLO_PIECES: readonly string[] = [
  '\x16\x03\x01',
  '\x00\x00\x00\x08',
  '\x00\x10',
  '\x01\x00\x00',
  'a.example',
  '\x00',
];

/** GREASE (RFC 8701): values that nobody knows, in the places where a client may have them. */
export const GREASE = [extension(0x0a0a, Buffer.alloc(0)), extension(0xfafa, Buffer.from([0]))];

export type Told =
  | { readonly serverName: string; readonly protocols: readonly string[] }
  | 'more'
  | 'bad';

/** What the bytes say, by going through a copy of the message from its start each time. For ASCII names without tricks. */
export function tellHello(bytes: Buffer): Told {
  const more = bytes.length > HELLO_MAX ? 'bad' : 'more';
  let message = Buffer.alloc(0);
  for (let at = 0; at < bytes.length;) {
    const head = bytes.subarray(at, at + 5);
    if (head[0] !== 22 || (head[1] ?? 3) !== 3) return 'bad';
    if (head.length < 5) return more;
    const length = head.readUInt16BE(3);
    if (length === 0 || length > RECORD_BYTES_MAX) return 'bad';
    const part = bytes.subarray(at + 5, at + 5 + length);
    at += 5 + part.length;
    message = Buffer.concat([message, part]);
    if ((message[0] ?? 1) !== 1) return 'bad';
    if (message.length >= 4) {
      const size = message.readUIntBE(1, 3) + 4;
      if (size > HELLO_MAX) return 'bad';
      // What stands behind it in its last record does not count.
      const endsAt = at - (message.length - size);
      if (message.length >= size)
        return endsAt > HELLO_MAX ? 'bad' : tellMessage(message.subarray(4, size));
    }
  }
  return more;
}

function tellMessage(body: Buffer): Told {
  try {
    if (body[0] !== 3) return 'bad';
    let at = 34;
    const step = (bytes: number): Buffer => {
      if (at + bytes > body.length) throw new RangeError('short');
      return body.subarray(at, (at += bytes));
    };
    const session = step(1)[0] ?? 0;
    if (session > 32) return 'bad';
    step(session);
    const suites = step(2).readUInt16BE();
    if (suites === 0 || suites % 2 === 1) return 'bad';
    step(suites);
    const methods = step(1)[0] ?? 0;
    if (methods === 0) return 'bad';
    step(methods);
    if (at === body.length) return { serverName: '', protocols: [] };
    const all = step(step(2).readUInt16BE());
    return at === body.length ? tellExtensions(all) : 'bad';
  } catch {
    return 'bad';
  }
}

function tellExtensions(all: Buffer): Told {
  const found = new Map<number, Buffer>();
  for (let at = 0; at < all.length;) {
    const type = all.readUInt16BE(at);
    const end = at + 4 + all.readUInt16BE(at + 2);
    if (end > all.length || found.has(type)) return 'bad';
    found.set(type, all.subarray(at + 4, end));
    at = end;
  }
  const names = partsOf(found.get(0), 3);
  const protocols = partsOf(found.get(16), 1);
  const [name = Buffer.alloc(0), second] = names.filter((each) => each[0] === 0);
  if (second !== undefined) return 'bad';
  return {
    serverName: normal(name.toString('latin1', 3)),
    protocols: protocols.map((each) => each.toString('latin1', 1)),
  };
}

/** Items of a list, each with its header of so many bytes, of which the last ones are its length. */
function partsOf(list: Buffer | undefined, headerBytes: number): Buffer[] {
  if (list === undefined) return [];
  if (list.length < 3 || list.readUInt16BE() !== list.length - 2) throw new RangeError('list');
  const parts: Buffer[] = [];
  for (let at = 2; at < list.length;) {
    const size = headerBytes === 1 ? list.readUInt8(at) : list.readUInt16BE(at + 1);
    const end = at + headerBytes + size;
    const isEmpty = size === 0 && (headerBytes === 1 || list[at] === 0);
    if (end > list.length || isEmpty) throw new RangeError('item');
    parts.push(list.subarray(at, end));
    at = end;
  }
  return parts;
}

function normal(name: string): string {
  if (name === '') return '';
  if (
    /^(?:\d+\.){3}\d+$/.test(name) &&
    name.split('.').every((each) => String(Number(each) % 256) === each)
  )
    return '';
  const lower = name.toLowerCase().replace(/\.$/, '');
  const isName =
    lower.length <= 253 &&
    lower.split('.').every((label) => /^[a-z0-9_-]{1,63}$/.test(label) && !/^-|-$/.test(label));
  if (!isName) throw new RangeError('name');
  return lower;
}
