/** The windows that we give our peers: RFC 9113 §6.9. */

/** One stream alone fills a path of 0.5 ms with 4 Gbit/s. */
export const STREAM_WINDOW_BYTES = 262_144;
/** What waits is bounded by the windows of the streams; this one never holds them up. */
export const CONNECTION_WINDOW_BYTES = 16_777_216;
/** What it is before anybody says otherwise. */
export const CONNECTION_WINDOW_DEFAULT = 65_535;
