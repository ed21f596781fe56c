/** A request as the bytes that a client would send: a head of HTTP/1.1, or a block of fields of HTTP/2. */

/** One request in words; nothing in it is checked here, that is the work of the parser. */
export interface PlainRequest {
  readonly method: string;
  readonly target: string;
  /** Goes into the Host field, unless `fields` have one. */
  readonly host: string;
  /** `Name: value`, in order. */
  readonly fields: readonly string[];
  /** Becomes Content-Length, unless `fields` say how long the body is; 0 is no body. */
  readonly bodyBytes: number;
  /** Asks for a WebSocket, as the version of HTTP does. */
  readonly webSocket?: boolean;
}

/** The head of the request, HTTP/1.1. */
export function renderHead(request: PlainRequest): Buffer {
  const { method, target, host, fields, bodyBytes } = request;
  const lines = [`${method} ${target} HTTP/1.1`];
  if (!names(fields).includes('host')) lines.push(`Host: ${host}`);
  if (request.webSocket === true) lines.push(...HANDSHAKE);
  lines.push(...fields);
  const isFramed = names(fields).some((name) => FRAMING.has(name));
  if (bodyBytes > 0 && !isFramed) lines.push(`Content-Length: ${bodyBytes}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

/** The block of fields of the request, HTTP/2; names are in lower case, as clients send them. */
export function renderBlock(request: PlainRequest): Buffer {
  const { method, target, host, fields, bodyBytes } = request;
  const given = fields.map(pairOf);
  // The first one becomes :authority; what a second one says is for the reader to judge.
  const named = given.find(([name]) => name === 'host');
  const pairs: Pair[] = [
    ...(request.webSocket === true ? EXTENDED_CONNECT : [[':method', method] as const]),
    [':scheme', 'http'],
    [':authority', named?.[1] ?? host],
    [':path', target],
    ...given.filter((each) => each !== named),
  ];
  if (bodyBytes > 0 && !given.some(([name]) => name === 'content-length'))
    pairs.push(['content-length', String(bodyBytes)]);
  return Buffer.concat(pairs.flatMap(([name, value]) => [LITERAL, text(name), text(value)]));
}

type Pair = readonly [name: string, value: string];

/** RFC 6455 §4.1; its key is that of the RFC. */
const HANDSHAKE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
/** RFC 8441 §5. */
const EXTENDED_CONNECT: readonly Pair[] = [
  [':method', 'CONNECT'],
  [':protocol', 'websocket'],
];

/** Without the colon there is no value; clients drop the space around one. */
function pairOf(field: string): Pair {
  const colon = field.indexOf(':', 1);
  const end = colon < 0 ? field.length : colon;
  return [field.slice(0, end).toLowerCase(), field.slice(end + 1).trim()];
}

/** A field that goes into no table, its name and value plain: RFC 7541 §6.2.2. */
const LITERAL = Buffer.from([0]);
const PREFIX_MASK = 127;

function text(of: string): Buffer {
  const bytes = Buffer.from(of);
  const length: number[] = [];
  if (bytes.length < PREFIX_MASK) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  let rest = bytes.length - PREFIX_MASK;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) | 128);
  return Buffer.concat([Buffer.from([PREFIX_MASK, ...length, rest]), bytes]);
}

const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);

function names(fields: readonly string[]): readonly string[] {
  return fields.map((field) => field.slice(0, Math.max(field.indexOf(':'), 0)).toLowerCase());
}
