/** A parsed message head: offsets into the bytes it was parsed from, reused from message to message. */
import type { FailureReason } from '../../model/failure.ts';
import type { Rule } from './rule.ts';
import { NO_STAMP } from './stamp.ts';

/** The head is a prefix of a valid one as far as seen: read more, parse again from the start. */
export const INCOMPLETE = -1;
/** The head is refused: `failure` and `rule` say why; the connection must be closed after the answer. */
export const BAD = -2;

/** Numbers per field in `Head.fields`: kind, nameStart, nameEnd, valueStart, valueEnd. */
export const FIELD_STRIDE = 5;

/** Nothing special: forwarded as it is. */
export const FIELD_OTHER = 0;
/** Hop-by-hop, or named by Connection: not forwarded. */
export const FIELD_DROP = 1;
// These the proxy never copies blindly: it writes its own, or decides.
export const FIELD_HOST = 2;
export const FIELD_CONTENT_LENGTH = 3;
export const FIELD_TRANSFER_ENCODING = 4;
export const FIELD_CONNECTION = 5;
export const FIELD_UPGRADE = 6;
export const FIELD_EXPECT = 7;
export const FIELD_X_FORWARDED_FOR = 8;
export const FIELD_X_FORWARDED_PROTO = 9;
export const FIELD_X_FORWARDED_HOST = 10;
export const FIELD_TE = 11;
// These are of interest to the proxy and forwarded as they are, like FIELD_OTHER.
export const FIELD_COOKIE = 12;
export const FIELD_TRAILER = 13;
export const FIELD_TRACEPARENT = 14;
export const FIELD_SET_COOKIE = 15;
export const FIELD_DATE = 16;
export const FIELD_RETRY_AFTER = 17;
/** Says what only a proxy may say (`forwardingField`): forwarded when the caller is trusted. */
export const FIELD_FORWARDING = 18;
/** Max-Forwards of OPTIONS or TRACE: written anew. */
export const FIELD_MAX_FORWARDS = 19;
/** Of a request of HTTP/2; forwarded as it is. */
export const FIELD_CONTENT_TYPE = 20;
/** How many kinds there are. */
export const FIELD_KINDS = 21;

export const METHOD_OTHER = 0;
export const METHOD_GET = 1;
export const METHOD_HEAD = 2;
export const METHOD_POST = 3;
export const METHOD_PUT = 4;
export const METHOD_DELETE = 5;
export const METHOD_OPTIONS = 6;
export const METHOD_TRACE = 7;
export const METHOD_PATCH = 8;
export const METHOD_CONNECT = 9;

/** No body follows, whatever the fields say. */
export const FRAMING_NONE = 0;
/** `contentLength` bytes follow, more than zero. */
export const FRAMING_LENGTH = 1;
/** Chunks follow. */
export const FRAMING_CHUNKED = 2;
/** The body of a response lasts until the connection closes. */
export const FRAMING_CLOSE = 3;

export interface HeadLimits {
  /** Bytes from the start line to the blank line, both included. */
  readonly headBytesMax: number;
  /** Field lines of a request. In a response the bytes are the only bound. */
  readonly headFieldsMax: number;
}

/** Bytes of one trailer section, its blank line not counted. */
export const TRAILER_BYTES_MAX = 8192;
/** Bytes of a section when it leaves, at most: each line of at least four bytes grows by one, the space after the colon. */
export const TRAILER_LINES_BYTES_MAX = TRAILER_BYTES_MAX + (TRAILER_BYTES_MAX >> 2);

/** Valid only after a parse that returned an offset, and only while the parsed bytes stay where they are. */
export class Head {
  /** FIELD_STRIDE numbers per field; values are without surrounding white space. */
  fields: Int32Array;
  /** Those of a head of HTTP/2 are of its list, which the next message of either side fills anew. */
  #own: Int32Array;
  /** Fields. */
  count = 0;
  /** By field: its stamp (`stamp.ts`), NO_STAMP for none. Null where fields have none. */
  stamps: Float64Array | null = null;
  /** Of the host, where it stands in a field of its own. */
  hostStamp = NO_STAMP;
  /** Of the target. */
  targetStamp = NO_STAMP;

  /** Other than 0 it stands for all fields of this head and of those that come again in the same read, as they came. */
  serial = 0;

  methodStart = 0;
  methodEnd = 0;
  method = METHOD_OTHER;
  /** Path and query, or `*`. An empty range (absolute-form without a path) means `/`, with OPTIONS `*`. */
  targetStart = 0;
  targetEnd = 0;
  /** Where the `?` of the target is; `targetEnd` without one. */
  queryStart = 0;
  /** The target lacks its leading slash: absolute-form with an empty path, maybe with a query. */
  targetSlash = false;
  /** Host and port that the request is for; an empty range when an HTTP/1.0 request names none. */
  hostStart = 0;
  hostEnd = 0;
  absoluteForm = false;
  /** Bytes of the target that are percent-encoded when it leaves: each becomes three. */
  targetRaw = 0;

  /** What an Extended CONNECT of HTTP/2 wants to speak (RFC 8441); an empty range in all other requests. */
  protocolStart = 0;
  protocolEnd = 0;

  status = 0;
  reasonStart = 0;
  reasonEnd = 0;

  minor: 0 | 1 = 1;
  /** -1 when there is no Content-Length. Of a response to HEAD and of 304 it is not the length of what follows. */
  contentLength = -1;
  /** No Content-Length line is forwarded as it came: the head writer makes one of `contentLength`. */
  lengthAnew = false;
  chunked = false;
  /** One of FRAMING_*. */
  framing = FRAMING_NONE;
  /** Whether the sender keeps the connection open: version and Connection options; false with FRAMING_CLOSE. */
  keepAlive = false;
  /** Connection says upgrade and there is an Upgrade field other than `h2c`; always false in HTTP/1.0. */
  upgrade = false;
  /** Protocols that the Upgrade fields list. */
  upgrades = 0;
  /** One of them is `h2c`. */
  upgradeH2c = false;
  /** A response has a Date that is passed on. */
  dated = false;
  /** Expect: 100-continue in HTTP/1.1, and a body follows. */
  expectContinue = false;
  /** How many proxies more an OPTIONS or TRACE may pass, this one included; -1 when it does not say. */
  maxForwards = -1;
  /** TE lists `trailers`. */
  acceptsTrailers = false;
  /** A request of HTTP/2 whose content is gRPC. */
  grpc = false;

  // What the parser notes on its way.
  connectionClose = false;
  connectionKeepAlive = false;
  connectionUpgrade = false;
  /** Connection options other than close, keep-alive and upgrade. */
  connectionNames = 0;
  /** Codings in all Transfer-Encoding fields. */
  codings = 0;
  /** The last of them is chunked. */
  chunkedLast = false;
  /** How many of them are chunked. */
  codingsChunked = 0;
  /** Host fields. */
  hosts = 0;

  failure: FailureReason | '' = '';
  rule: Rule | '' = '';

  /** @param fieldsCount how many fields it has room for at first, above 0 */
  constructor(fieldsCount: number) {
    this.#own = new Int32Array(fieldsCount * FIELD_STRIDE);
    this.fields = this.#own;
  }

  /** Makes room for more fields, when the bytes of the head are the only bound. Returns the new `fields`. */
  grow(): Int32Array {
    const larger = new Int32Array(this.fields.length * 2);
    larger.set(this.fields);
    this.#own = larger;
    this.fields = larger;
    return larger;
  }

  /** Every parse starts with it. */
  reset(): void {
    this.fields = this.#own;
    this.count = 0;
    this.stamps = null;
    this.hostStamp = NO_STAMP;
    this.targetStamp = NO_STAMP;
    this.serial = 0;
    this.method = METHOD_OTHER;
    this.methodStart = 0;
    this.methodEnd = 0;
    this.targetStart = 0;
    this.targetEnd = 0;
    this.queryStart = 0;
    this.reasonStart = 0;
    this.reasonEnd = 0;
    this.status = 0;
    this.minor = 1;
    this.keepAlive = false;
    this.targetSlash = false;
    this.targetRaw = 0;
    this.hostStart = 0;
    this.hostEnd = 0;
    this.absoluteForm = false;
    this.protocolEnd = 0;
    this.protocolStart = 0;
    this.contentLength = -1;
    this.lengthAnew = false;
    this.chunked = false;
    this.framing = FRAMING_NONE;
    this.upgrade = false;
    this.upgrades = 0;
    this.upgradeH2c = false;
    this.dated = false;
    this.expectContinue = false;
    this.acceptsTrailers = false;
    this.grpc = false;
    this.maxForwards = -1;
    this.connectionClose = false;
    this.connectionKeepAlive = false;
    this.connectionUpgrade = false;
    this.connectionNames = 0;
    this.codings = 0;
    this.chunkedLast = false;
    this.codingsChunked = 0;
    this.hosts = 0;
    this.failure = '';
    this.rule = '';
  }
}

/** RFC 9112 §3.2.4: OPTIONS for an absolute target without path and query is about the server as a whole. */
export function isServerWide(head: Head): boolean {
  return head.method === METHOD_OPTIONS && head.targetEnd === head.targetStart;
}

/** Notes why a head is refused. */
export function refuse(head: Head, failure: FailureReason, rule: Rule): typeof BAD {
  head.failure = failure;
  head.rule = rule;
  return BAD;
}

/** Notes which rule of the grammar a head breaks. */
export function malformed(head: Head, rule: Rule): typeof BAD {
  return refuse(head, 'bad_request', rule);
}
