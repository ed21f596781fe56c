/** What a socket may have to tell its owner. */

export const TELL_END = 0;
export const TELL_DRAIN = 1;
export const TELL_CONNECT = 2;
export const TELL_WRITE_FAILED = 3;
export const TELL_SPLICED = 4;
