/** The disagreements with other parsers that a page of docs/decisions lists, and how tests report theirs. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** The names in the first column of the table under a heading. */
function listed(page: string, heading: string): Set<string> {
  const text = readFileSync(new URL(`../../docs/decisions/${page}`, import.meta.url), 'utf8');
  const section = text.split(/^## /mu).find((part) => part.startsWith(`${heading}\n`));
  assert.ok(section !== undefined, `docs/decisions/${page} has no section "${heading}"`);
  return new Set([...section.matchAll(/^\| `([^`]+)` +\|/gmu)].map((match) => match[1]!));
}

/** Counts disagreements by name and keeps the shortest example of each. */
export class Disagreements {
  readonly #page: string;
  readonly #found = new Map<string, { count: number; example: Buffer }>();

  constructor(page = 'http1-strictness.md') {
    this.#page = page;
  }

  add(name: string, bytes: Buffer): void {
    const entry = this.#found.get(name) ?? { count: 0, example: bytes };
    entry.count++;
    if (bytes.length < entry.example.length) entry.example = bytes;
    this.#found.set(name, entry);
  }

  /** Fails on a disagreement that the document does not list; with `both`, also on a listed one that was not found. */
  check(heading: string, both: boolean): void {
    if (process.env['MAESH_SHOW_DISAGREEMENTS'] !== undefined)
      for (const name of this.#found.keys()) console.log(this.#line(name));
    const known = listed(this.#page, heading);
    const unlisted = [...this.#found.keys()]
      .filter((name) => !known.has(name))
      .map((name) => this.#line(name));
    assert.deepEqual(unlisted, [], `disagreements that "${heading}" does not list`);
    if (both)
      assert.deepEqual(
        [...known].filter((name) => !this.#found.has(name)),
        [],
        'listed disagreements that no longer occur',
      );
  }

  #line(name: string): string {
    const { count, example } = this.#found.get(name)!;
    return `${name} (${count}): ${JSON.stringify(example.toString('latin1'))}`;
  }
}
