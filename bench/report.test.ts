import assert from 'node:assert/strict';
import { test } from 'node:test';
import { barChart } from './chart.ts';
import { BARS } from './bars.ts';
import { sampleOf, stageOf } from './figures.fixture.ts';
import { STAGES, type Figures, type Stage, type StageName } from './figures.ts';
import { markdownReport, overview, terminalReport } from './report.ts';
import { LAYOUTS } from './tables.ts';
import { formatNumber, plainTable } from './text.ts';
import { parseH2load } from './h2load.ts';
import { parseWrk } from './workload.ts';

/** A stage in which every figure of its table is 7. */
function stage(name: StageName, names: readonly string[], cpu = 'a CPU'): Stage {
  const figures = Object.fromEntries(LAYOUTS[name].columns.map((column) => [column.figure, 7]));
  const samples = names.map((subject) => sampleOf(subject, 1, figures));
  return stageOf(name, samples, cpu);
}

test('the reports show every stage and every figure', () => {
  const figures: Figures = Object.fromEntries(
    STAGES.map((name) => [name, stage(name, name === 'scale' ? ['maesh'] : ['maesh', 'haproxy'])]),
  );
  for (const text of [terminalReport(figures), markdownReport(figures)]) {
    for (const name of STAGES) {
      assert.ok(text.includes(LAYOUTS[name].title), name);
      for (const column of LAYOUTS[name].columns) assert.ok(text.includes(column.title));
    }
    assert.ok(text.includes('CPU per small request against HAProxy'));
  }
});

test('a report without figures says so for every bar', () => {
  assert.equal(terminalReport({}).match(/not measured/g)?.length, BARS.length);
});

test('overview() has the bars of every processor side by side', () => {
  const page = overview(
    new Map([
      ['amd', { small: stage('small', ['maesh', 'haproxy', 'envoy'], 'AMD EPYC') }],
      ['intel', { small: stage('small', ['maesh', 'haproxy', 'envoy'], 'Intel(R) Xeon(R)') }],
    ]),
  );
  assert.ok(page.includes('- [amd](amd/results.md): AMD EPYC\n'));
  assert.ok(page.includes('- [intel](intel/results.md): Intel(R) Xeon(R)\n'));
  assert.ok(
    page.includes(
      '| CPU per small request against Envoy | 1.00 × | ≤ 0.45 × | MISS | 1.00 × | ≤ 0.30 × | MISS |',
    ),
  );
});

test('plainTable() aligns numbers to the right', () => {
  const table = plainTable({
    head: ['', 'n'],
    rows: [
      ['a', '1'],
      ['bcd', '1,000'],
    ],
  });
  assert.equal(table, '         n\na        1\nbcd  1,000');
});

test('formatNumber() writes a dash for what was not measured', () => {
  assert.deepEqual(
    [null, undefined, Number.NaN].map((value) => formatNumber(value, 1)),
    ['–', '–', '–'],
  );
  assert.equal(formatNumber(1234.56, 1), '1,234.6');
});

test('barChart() scales to the longest bar and escapes text', () => {
  const svg = barChart({
    title: 'a < b',
    note: '',
    bars: [
      { label: 'x', value: 10, text: '10', own: true },
      { label: 'y', value: 5, text: '5', own: false },
    ],
    mark: { value: 20, label: 'bar' },
  });
  assert.ok(svg.includes('a &lt; b') && !svg.includes('a < b'));
  const widths = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map((match) => Number(match[1]));
  assert.deepEqual(widths, [200, 100]);
});

test('parseWrk() reads counts, times and failures', () => {
  const output = `Running 2s test @ http://127.0.0.1:1/small
  Latency Distribution
     50%  662.00us
     75%  700.00us
     90%    0.98ms
     99%    1.50ms
  123456 requests in 2.01s, 20.11MB read
  Socket errors: connect 0, read 2, write 0, timeout 1
  Non-2xx or 3xx responses: 4
Requests/sec:  61421.11
`;
  assert.deepEqual(parseWrk(output), {
    requests: 123_456,
    seconds: 2.01,
    failed: 7,
    p50Micros: 662,
    p99Micros: 1_500,
  });
  assert.throws(() => parseWrk('unable to connect'), /Cannot read what wrk says/);
});

test('parseH2load() reads counts, times and failures', () => {
  const output = `starting benchmark...
finished in 2.01s, 452400.00 req/s, 17.69MB/s
requests: 1010 total, 1090 started, 1010 done, 1000 succeeded, 10 failed, 3 errored, 0 timeout
status codes: 1000 2xx, 1 3xx, 2 4xx, 4 5xx
traffic: 17.69MB (18548880) total, 4.31MB (4524384) headers (space savings 93.51%), 5.61MB (5881200) data
                     min         max         mean         sd        +/- sd
time for request:       46us      5.11ms       166us       105us    97.37%
time for connect:       64us       129us       102us        27us    75.00%
`;
  assert.deepEqual(parseH2load(output), {
    requests: 1_010,
    seconds: 2.01,
    failed: 10,
    meanMicros: 166,
    maxMicros: 5_110,
  });
  assert.throws(() => parseH2load('unable to connect'), /Cannot read what h2load says/);
});
