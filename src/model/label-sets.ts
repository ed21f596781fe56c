/** One copy of each set of labels: a hundred thousand Pods have a few thousand different ones. */

import { type Labels, labelsOfText } from './endpoint.ts';

/** Beyond this all are forgotten and gathered anew: what is in use keeps its copy. */
const SETS_MAX = 20_000;

export class LabelSets {
  readonly #sets = new Map<string, Labels>();

  /** By the text that `labelsText` makes. */
  of(text: string): Labels {
    const known = this.#sets.get(text);
    if (known !== undefined) return known;
    const labels = labelsOfText(text);
    if (this.#sets.size >= SETS_MAX) this.#sets.clear();
    this.#sets.set(text, labels);
    return labels;
  }
}
