/** Frames of HTTP/2 as numbers: RFC 9113 §4.1 and §6. */

export const FRAME_HEADER_BYTES = 9;
/** The least that SETTINGS_MAX_FRAME_SIZE may be, and what it is until the peer says otherwise. */
export const FRAME_BYTES_MIN = 16_384;
/** The most that it may be. */
export const FRAME_BYTES_LARGEST = 16_777_215;
/** Of windows, and of streams. */
export const NUMBER_MAX = 0x7fff_ffff;

export const FRAME_DATA = 0;
export const FRAME_HEADERS = 1;
export const FRAME_PRIORITY = 2;
export const FRAME_RST_STREAM = 3;
export const FRAME_SETTINGS = 4;
export const FRAME_PUSH_PROMISE = 5;
export const FRAME_PING = 6;
export const FRAME_GOAWAY = 7;
export const FRAME_WINDOW_UPDATE = 8;
export const FRAME_CONTINUATION = 9;

export const FLAG_END_STREAM = 0x1;
export const FLAG_ACK = 0x1;
export const FLAG_END_HEADERS = 0x4;
export const FLAG_PADDED = 0x8;
export const FLAG_PRIORITY = 0x20;

export const SETTING_HEADER_TABLE_SIZE = 1;
export const SETTING_ENABLE_PUSH = 2;
export const SETTING_MAX_CONCURRENT_STREAMS = 3;
export const SETTING_INITIAL_WINDOW_SIZE = 4;
export const SETTING_MAX_FRAME_SIZE = 5;
export const SETTING_MAX_HEADER_LIST_SIZE = 6;
/** RFC 8441. */
export const SETTING_ENABLE_CONNECT_PROTOCOL = 8;
/** RFC 9218. */
export const SETTING_NO_RFC7540_PRIORITIES = 9;
export const SETTING_BYTES = 6;

/** What a client sends first. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
