/** One copy of what many Services of the wire say alike: a hundred thousand endpoints run on a few hundred nodes. */

import { DEFAULT_POLICIES } from '../model/defaults.ts';
import { LabelSets } from '../model/label-sets.ts';
import type { Policies } from '../model/policy.ts';

/** Beyond this all are forgotten and gathered anew: what is in use keeps its copy. */
const TEXTS_MAX = 20_000;
const POLICIES_MAX = 2_000;

export class Pool {
  readonly labels = new LabelSets();
  readonly #texts = new Map<string, string>();
  readonly #policies = new Map<string, Policies>([
    [JSON.stringify(DEFAULT_POLICIES), DEFAULT_POLICIES],
  ]);

  text(text: string): string {
    if (text === '') return '';
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#texts.size >= TEXTS_MAX) this.#texts.clear();
    this.#texts.set(text, text);
    return text;
  }

  policies(policies: Policies): Policies {
    const id = JSON.stringify(policies);
    const known = this.#policies.get(id);
    if (known !== undefined) return known;
    if (this.#policies.size >= POLICIES_MAX) this.#policies.clear();
    this.#policies.set(id, policies);
    return policies;
  }
}
