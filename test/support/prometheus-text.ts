/** A strict reader of Prometheus' text format 0.0.4, written apart from the renderer: rejects what a scraper might. */

import assert from 'node:assert/strict';

export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly series: readonly Series[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*/;
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/;

interface OpenFamily {
  name: string;
  type: string;
  help: string;
  series: Series[];
}

export function parseMetrics(text: string): Map<string, Family> {
  assert.ok(text === '' || text.endsWith('\n'), 'the last line ends with a line feed');
  const families = new Map<string, OpenFamily>();
  const at: { family: OpenFamily | null } = { family: null };
  for (const line of text.split('\n').slice(0, -1)) {
    assert.notEqual(line, '', 'no empty line');
    if (line.startsWith('# HELP ')) {
      const [name, help] = cut(line.slice(7));
      assert.ok(!families.has(name), `${name} comes in one piece`);
      assert.doesNotMatch(help, /\\[^\\n]/);
      at.family = { name, type: '', help, series: [] };
      families.set(name, at.family);
    } else if (line.startsWith('# TYPE ')) {
      const [name, type] = cut(line.slice(7));
      const open = at.family;
      assert.equal(name, open?.name, 'TYPE follows its HELP');
      assert.match(type, /^(?:counter|gauge|histogram)$/);
      assert.ok(open !== null && open.series.length === 0);
      open.type = type;
    } else {
      const open = at.family;
      assert.ok(open !== null && open.type !== '', `HELP and TYPE come before ${line}`);
      const series = parseSeries(line);
      assert.ok(belongs(series.name, open), `${series.name} belongs to ${open.name}`);
      open.series.push(series);
    }
  }
  for (const family of families.values()) checkFamily(family);
  return families;
}

function cut(text: string): [string, string] {
  const at = text.indexOf(' ');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function belongs(name: string, family: OpenFamily): boolean {
  if (family.type !== 'histogram') return name === family.name;
  return ['_bucket', '_sum', '_count'].some((suffix) => name === family.name + suffix);
}

function parseSeries(line: string): Series {
  const name = NAME.exec(line)?.[0];
  assert.ok(name !== undefined, `a name starts ${line}`);
  let rest = line.slice(name.length);
  const labels: Record<string, string> = {};
  if (rest.startsWith('{')) {
    rest = rest.slice(1);
    while (!rest.startsWith('}')) {
      const label = LABEL.exec(rest)?.[0];
      assert.ok(label !== undefined && !(label in labels), `a new label in ${line}`);
      const [value, after] = parseQuoted(rest.slice(label.length));
      labels[label] = value;
      rest = after.startsWith(',') ? after.slice(1) : after;
      assert.ok(rest !== after || rest.startsWith('}'), `a comma or brace in ${line}`);
    }
    rest = rest.slice(1);
  }
  assert.ok(rest.startsWith(' '), `a space before the value in ${line}`);
  assert.match(rest.slice(1), NUMBER, line);
  return { name, labels, value: Number(rest.slice(1).replace('Inf', 'Infinity')) };
}

function parseQuoted(text: string): [string, string] {
  assert.ok(text.startsWith('="'));
  let value = '';
  for (let i = 2; i < text.length; i++) {
    const char = text[i];
    if (char === '"') return [value, text.slice(i + 1)];
    if (char === '\\') {
      i += 1;
      const escaped = { '\\': '\\', '"': '"', n: '\n' }[text[i] ?? ''];
      assert.ok(escaped !== undefined, `a known escape in ${text}`);
      value += escaped;
    } else value += char;
  }
  return assert.fail(`a closing quote in ${text}`);
}

function checkFamily(family: OpenFamily): void {
  const seen = new Set<string>();
  for (const { name, labels, value } of family.series) {
    const id = seriesId(name, labels);
    assert.ok(!seen.has(id), `${id} comes once`);
    seen.add(id);
    if (family.type !== 'gauge') assert.ok(value >= 0, `${id} is not negative`);
  }
  if (family.type === 'counter') assert.match(family.name, /_total$/);
  else assert.doesNotMatch(family.name, /_total$/);
  if (family.type === 'histogram') checkHistogram(family);
}

export function seriesId(name: string, labels: Readonly<Record<string, string>>): string {
  return `${name} ${JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))}`;
}

function checkHistogram(family: OpenFamily): void {
  const groups = Map.groupBy(family.series, ({ labels }) => {
    return seriesId(
      '',
      Object.fromEntries(Object.entries(labels).filter(([name]) => name !== 'le')),
    );
  });
  for (const [id, group] of groups) {
    const edges = group.filter((series) => series.name.endsWith('_bucket'));
    let last = { edge: -Infinity, count: 0 };
    for (const { labels, value } of edges) {
      const edge = Number(labels['le']?.replace('Inf', 'Infinity'));
      assert.ok(edge > last.edge, `edges of ${family.name}${id} rise`);
      assert.ok(value >= last.count, `buckets of ${family.name}${id} are cumulative`);
      last = { edge, count: value };
    }
    assert.equal(last.edge, Infinity, `${family.name}${id} has a last bucket`);
    const count = group.find((series) => series.name.endsWith('_count'));
    assert.equal(count?.value, last.count, `${family.name}${id} counts what its buckets hold`);
    assert.equal(group.length, edges.length + 2);
  }
}
