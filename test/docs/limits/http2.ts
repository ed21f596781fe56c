/** Limits of the section "HTTP/2" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const HTTP2_LIMITS: LimitSection = {
  title: 'HTTP/2',
  intro:
    'Requests are bounded as those of HTTP/1.1 are; these limits are those of the connections and of what a peer makes us do.',
  rows: [
    [
      'Requests that a caller may have under way on one connection',
      'REFUSED_STREAM: it may be sent again',
      'proxy/http2/caller.ts CALLER_STREAMS_MAX',
    ],
    [
      'Requests of ours on one connection to an endpoint, if it allows as many',
      'Another connection is opened',
      'proxy/http2/endpoint.ts STREAMS_MAX',
    ],
    [
      'Window that a stream grows to while its reader keeps up, from 256 KiB',
      'It grows no more',
      'proxy/http2/windows.ts STREAM_WINDOW_BYTES_MAX',
    ],
    [
      'What the windows of all streams of a connection grow by, together',
      'They grow no more',
      'proxy/http2/windows.ts GROWN_BYTES_MAX',
    ],
    [
      'Time that a caller may go on with a request whose response it has got',
      'The stream is reset with NO_ERROR',
      'proxy/http2/caller.ts REST_MS',
    ],
    [
      'Resets on one connection to an endpoint',
      'Its next requests go to another one, and it closes after its last response',
      'proxy/http2/endpoint.ts RESETS_MAX',
    ],
    [
      'Streams reset before their end in ten seconds, if they are also more than half of all',
      'ENHANCE_YOUR_CALM. Tunnels that stand do not count',
      'proxy/http2/floods.ts FLOOD_RESETS_MAX',
    ],
    [
      'Frames without content in ten seconds …',
      'ENHANCE_YOUR_CALM, if they are also more than the next limit',
      'proxy/http2/floods.ts FLOOD_FRAMES_MAX',
    ],
    [
      '… and for each frame that had content',
      'ENHANCE_YOUR_CALM, if they are also more than the limit before',
      'proxy/http2/floods.ts FRAMES_RATIO_MAX',
    ],
    [
      'A block of fields as it comes',
      'ENHANCE_YOUR_CALM',
      'proxy/http2/header-block.ts BLOCK_BYTES_MAX',
    ],
    [
      'Frames of one block of fields',
      'ENHANCE_YOUR_CALM',
      'proxy/http2/header-block.ts PIECES_MAX',
    ],
    [
      'Streams that we reset of which we know that frames may still come',
      'The oldest is forgotten: its frames are answered with STREAM_CLOSED',
      'proxy/http2/session.ts RESET_KEPT_MAX',
    ],
    [
      'Table of fields that a peer may use, and that we use of its own',
      'A larger one is COMPRESSION_ERROR; the oldest entries go',
      'proxy/http2/codec/hpack-table.ts TABLE_BYTES_MAX',
    ],
    [
      'Changes of the size of that table before one block of fields',
      'COMPRESSION_ERROR',
      'proxy/http2/codec/hpack-decoder.ts SIZE_UPDATES_MAX',
    ],
    [
      'Bytes of an integer behind its first one',
      'COMPRESSION_ERROR',
      'proxy/http2/codec/hpack-decoder.ts INTEGER_BYTES_MAX',
    ],
    [
      'Size of a list of fields, in times of the limit of a head',
      'ENHANCE_YOUR_CALM; from the limit on, a list is refused, and only counted',
      'proxy/http2/codec/field-list.ts OVERFLOW_FACTOR',
    ],
  ],
};
