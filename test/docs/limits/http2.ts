/** Limits of the section "HTTP/2 codec" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const HTTP2_LIMITS: LimitSection = {
  title: 'HTTP/2 codec',
  intro: 'The codec is there, but no port speaks it yet.',
  rows: [
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
