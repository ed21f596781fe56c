/** Copying by words of four bytes: for a short line a half of the time of a loop over its bytes, and no call into the runtime. */

/** What must be there to read and to write behind the end of what is copied. */
export const WORD_SLACK_BYTES = 3;
/** Above this a call into the runtime is faster. */
export const WORDS_BYTES = 128;

export function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
}

/** Copies `from[start, end)` to `to` at `at`. Up to WORD_SLACK_BYTES behind its end there are any bytes afterwards. */
// oxlint-disable-next-line max-params -- those of Buffer.copy
export function copyWords(
  from: DataView,
  start: number,
  end: number,
  to: DataView,
  at: number,
): void {
  for (let i = start, j = at; i < end; i += 4, j += 4) to.setInt32(j, from.getInt32(i, true), true);
}
