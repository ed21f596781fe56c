/**
 * How much to take per event of a descriptor whose events are told for as long as something is there. To ask for what is not there
 * costs more than a look at all descriptors. So it is one at a time, and more only while each look finds as much as was taken.
 */

/** Such looks in a row, before more is taken. */
const FULL_LOOKS = 4;

export class BatchSize {
  size = 1;
  readonly #max: number;
  #fullLooks = 0;
  #lastLook = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Only so many were there. */
  short(count: number): void {
    this.size = Math.max(count, 1);
    this.#fullLooks = 0;
  }

  /** As many were there as were asked for; `look` is the number of this look. */
  full(look: number): void {
    this.#fullLooks = look === this.#lastLook + 1 ? this.#fullLooks + 1 : 0;
    this.#lastLook = look;
    if (this.#fullLooks < FULL_LOOKS) return;
    this.#fullLooks = 0;
    this.size = Math.min(this.size * 2, this.#max);
  }
}
