/** Cuts a YAML text into its documents without reading them. */

export interface YamlPiece {
  readonly start: number;
  readonly text: string;
}

/**
 * Cuts before each line that starts with `---`, which no scalar may contain (YAML 1.2.2 §9.1.2). A text with directives
 * stays whole, since a directive belongs to what follows it. Each piece has characters of its own: a
 * slice would keep the whole file in memory for as long as one string of it lives.
 */
export function splitYaml(text: string): readonly YamlPiece[] {
  if (text.startsWith('%') || text.includes('\n%')) return [{ start: 0, text }];
  const pieces: YamlPiece[] = [];
  let start = 0;
  for (;;) {
    const next = nextMarker(text, start);
    if (next === -1) break;
    pieces.push({ start, text: ownCopy(text.slice(start, next)) });
    start = next;
  }
  pieces.push({ start, text: start === 0 ? text : ownCopy(text.slice(start)) });
  return pieces;
}

function nextMarker(text: string, from: number): number {
  for (let at = text.indexOf('\n---', from); at !== -1; at = text.indexOf('\n---', at + 1)) {
    const after = text.charCodeAt(at + 4);
    if (Number.isNaN(after) || after === 32 || after === 9 || after === 10 || after === 13)
      return at + 1;
  }
  return -1;
}

function ownCopy(slice: string): string {
  return Buffer.from(slice, 'utf8').toString('utf8');
}
