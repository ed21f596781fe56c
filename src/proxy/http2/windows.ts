/** The windows that we give our peers: RFC 9113 §6.9. */

/** What a stream begins with: it fills a path of 0.5 ms with 4 Gbit/s. */
export const STREAM_WINDOW_BYTES = 262_144;
/** What it grows to while its reader keeps up: a path of 4 ms with 8 Gbit/s. */
export const STREAM_WINDOW_BYTES_MAX = 4_194_304;
/** By so much the streams of a connection may have grown together. */
export const GROWN_BYTES_MAX = 16_777_216;
/** What waits is bounded by the windows of the streams; this one never holds them up. */
export const CONNECTION_WINDOW_BYTES = 16_777_216;
/** What it is before anybody says otherwise. */
export const CONNECTION_WINDOW_DEFAULT = 65_535;
