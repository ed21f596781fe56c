/** The rules by which a message is refused: one table for logs, tests and docs/decisions/http1-strictness.md. */

export const RULES = {
  line_bare_lf: 'a line ends with LF alone',
  line_bare_cr: 'a CR is not followed by LF',
  method_character: 'the method is empty or has a character that is not a token character',
  method_connect: 'CONNECT asks for a tunnel, which the mesh does not give',
  protocol_unknown: 'an Extended CONNECT asks for another protocol than websocket',
  target_form: 'the target is neither a path, nor an absolute http URI, nor the * of OPTIONS',
  target_character: 'the target has a space, a control character or #',
  target_scheme: 'an absolute target has another scheme than http',
  version_malformed: 'the version is not HTTP/digit.digit right before the end of the line',
  version_unsupported: 'the version is not HTTP/1.x',
  status_malformed:
    'the status line is not version, space, three digits from 100 to 999, space, reason',
  reason_character: 'the reason phrase has a control character',
  field_folded: 'a line starts with white space: folded fields are obsolete',
  field_name_empty: 'a field has no name',
  field_name_character:
    'a field name has a character that is not a token character, or the colon is missing',
  field_name_space: 'white space stands between a field name and the colon',
  field_value_character: 'a field value has a control character',
  head_bytes: 'the head has more bytes than the limit',
  head_fields: 'the head has more fields than the limit',
  host_missing: 'an HTTP/1.1 request has no Host field',
  host_repeated: 'there is more than one Host field',
  host_invalid:
    'Host, or the authority of an absolute target, is not a name or address with an optional port',
  content_length_malformed: 'Content-Length is not a whole number below 2^53',
  content_length_repeated:
    'there is more than one Content-Length; in a response, with different values',
  content_length_with_transfer_encoding: 'both Content-Length and Transfer-Encoding are there',
  transfer_encoding_malformed:
    'Transfer-Encoding is not a list of codings, or chunked has parameters',
  transfer_encoding_repeated: 'chunked is applied more than once',
  transfer_encoding_http10: 'HTTP/1.0 has no Transfer-Encoding',
  transfer_encoding_open:
    'chunked is not the last coding, so that nothing says where the body ends',
  transfer_encoding_unsupported: 'a coding other than chunked is applied',
  connection_malformed: 'Connection is not a list of tokens',
  connection_framing: 'Connection names Host, Content-Length or Transfer-Encoding',
  connection_options: 'Connection names more than 32 fields',
  upgrade_malformed: 'Upgrade is not a list of protocols',
  upgrade_unasked:
    'a 101 has no Upgrade, or answers a request that asked for none or is not sent whole',
  upgrade_unproved:
    'a 101 to a WebSocket lacks the Sec-WebSocket-Accept that belongs to the key, or switches to something else',
  expect_unknown: 'Expect asks for something other than 100-continue',
  max_forwards_malformed: 'Max-Forwards of OPTIONS or TRACE is not one whole number',
  max_forwards_used:
    'Max-Forwards of OPTIONS or TRACE is 0: it is for the mesh itself, which answers neither',
  trace_content: 'TRACE has content',
  bodiless_length: 'a 1xx response announces content, which could be taken for the final response',
  pseudo_missing:
    'a message of HTTP/2 lacks :method, :scheme, :path or :status, or CONNECT its :authority',
  pseudo_unknown: 'a field begins with a colon and is none that the message may have',
  pseudo_repeated: 'a field that begins with a colon comes twice',
  pseudo_late: 'a field that begins with a colon stands behind others, or in a trailer section',
  field_name_upper: 'a field name of HTTP/2 has a capital letter',
  field_value_space: 'a field value of HTTP/2 begins or ends with white space',
  field_of_connection:
    'a message of HTTP/2 has Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding or Upgrade',
  te_other: 'TE of HTTP/2 says something other than trailers',
  scheme_unknown: ':scheme is neither http nor https',
  host_differs: 'Host names another host than :authority',
  content_length_differs: 'Content-Length is another number than that of the bytes that come',
  status_switch: 'HTTP/2 has no 101',
  interim_end: 'a 1xx response ends the stream',
  frame_broken:
    'what came on a connection is not HTTP/2, or breaks its rules for frames and streams',
  flood_resets: 'more streams of a connection are reset before their end than anybody needs',
  flood_frames: 'a connection brings more frames without content than anybody needs',
  flood_head: 'a head of HTTP/2 comes in more pieces or bytes than anybody needs, or too slowly',
  chunk_size: 'a chunk size is not one to sixteen hexadecimal digits below 2^53',
  chunk_extension: 'a chunk extension does not follow the grammar',
  chunk_extension_bytes: 'the chunk extensions of one body have more bytes than the limit',
  chunk_end: 'chunk data is not followed by CRLF',
  web_base64: 'the content of a call of gRPC-Web in its text form is not base64',
  web_message: 'the answer to a call of gRPC-Web is not made of whole messages of gRPC',
  trailer_bytes: 'the trailer section has more bytes than the limit',
} as const satisfies Record<string, string>;

export type Rule = keyof typeof RULES;

/** All rules in the order of the table, which is the order of their counters. */
export const RULE_NAMES = Object.keys(RULES) as readonly Rule[];
