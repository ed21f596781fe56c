/**
 * Our text inside a text of somebody else: put in between two marker comments, found again, and taken out so that
 * every other byte is what it was. The markers say all that is needed for that, so there is no second record that could be lost.
 *
 *     # maesh: begin v1 5f2a11c0 join=newline zones=maesh,traefik.mesh
 *     …
 *     # maesh: end v1 5f2a11c0
 */

import { hash32 } from '../base/hash.ts';
import { readCorefile } from './corefile.ts';
import { zoneOf } from './zone-key.ts';

const MARKER_VERSION = 1;
const BEGIN =
  /^[ \t]*# maesh: begin v(\d+) ([0-9a-f]{8}) join=(none|newline|key) zones=(\S*)[ \t]*(\r?\n)/gm;
const END = /^[ \t]*# maesh: end v\d+ [0-9a-f]{8}[ \t]*(?:\r?\n|$)/gm;

/** What had to be added to make room: a line feed after a last line without one, or the key itself. */
type Join = 'none' | 'newline' | 'key';

/** Our text as it is found. */
export interface Region {
  readonly start: number;
  /** After the end marker and its line feed. */
  readonly end: number;
  readonly version: number;
  readonly join: Join;
  readonly eol: string;
  readonly zones: readonly string[];
  /** Between the markers. */
  readonly body: string;
  /** The body is what we wrote. */
  readonly isIntact: boolean;
}

/** All pairs of markers. A marker whose other half is gone is only a comment, and stays. */
export function findRegions(text: string): readonly Region[] {
  const begins = [...text.matchAll(BEGIN)];
  const ends = [...text.matchAll(END)];
  const regions: Region[] = [];
  for (const [index, begin] of begins.entries()) {
    const bodyStart = begin.index + begin[0].length;
    const limit = begins[index + 1]?.index ?? text.length;
    const end = ends.find((match) => match.index >= bodyStart && match.index < limit);
    if (end === undefined) continue;
    const body = text.slice(bodyStart, end.index);
    const zones = begin[4] ?? '';
    regions.push({
      start: begin.index,
      end: end.index + end[0].length,
      version: Number(begin[1]),
      join: (begin[3] ?? 'none') as Join,
      eol: begin[5] ?? '\n',
      zones: zones === '' ? [] : zones.split(','),
      body,
      isIntact: hashOf(body) === begin[2],
    });
  }
  return regions;
}

/** The text without ours, or null when the key itself was ours and nothing else is in it. */
export function removeBlock(text: string | null): string | null {
  if (text === null) return null;
  let rest = text;
  let wasKeyAdded = false;
  for (const region of findRegions(text).toReversed()) {
    const after = rest.slice(region.end);
    let before = rest.slice(0, region.start);
    const kept = region.isIntact ? '' : foreignText(region);
    if (region.join === 'newline' && kept === '' && after === '' && before.endsWith(region.eol)) {
      before = before.slice(0, -region.eol.length);
    }
    if (region.join === 'key') wasKeyAdded = true;
    rest = before + kept + after;
  }
  return wasKeyAdded && rest === '' ? null : rest;
}

/** `text`, which has none of ours, with `lines` at its end. Null is a key that does not exist. */
export function insertBlock(
  text: string | null,
  lines: readonly string[],
  zones: readonly string[],
): string {
  const base = text ?? '';
  const eol = base.includes('\r\n') ? '\r\n' : '\n';
  const needsLineFeed = base !== '' && !base.endsWith('\n');
  const join: Join = text === null ? 'key' : needsLineFeed ? 'newline' : 'none';
  const body = lines.map((line) => line + eol).join('');
  const hash = hashOf(body);
  const begin = `# maesh: begin v${MARKER_VERSION} ${hash} join=${join} zones=${zones.join(',')}`;
  const end = `# maesh: end v${MARKER_VERSION} ${hash}`;
  return `${base}${needsLineFeed ? eol : ''}${begin}${eol}${body}${end}${eol}`;
}

/** The text already holds exactly these lines, once. */
export function holdsBlock(text: string | null, lines: readonly string[]): boolean {
  const regions = text === null ? [] : findRegions(text);
  const [region] = regions;
  if (region === undefined || regions.length > 1 || region.version !== MARKER_VERSION) return false;
  return region.isIntact && region.body === lines.map((line) => line + region.eol).join('');
}

/** Server blocks that somebody put between our markers: theirs are kept, ours and what cannot be read are not. */
function foreignText(region: Region): string {
  const reading = readCorefile(region.body);
  if (!reading.ok) return '';
  let kept = '';
  for (const item of reading.items) {
    const isOurs =
      item.kind === 'block' && item.keys.every((key) => region.zones.includes(zoneOf(key).zone));
    if (!isOurs) kept += region.body.slice(item.start, item.end).replace(/\r$/, '') + region.eol;
  }
  return kept;
}

function hashOf(body: string): string {
  return hash32(body).toString(16).padStart(8, '0');
}
