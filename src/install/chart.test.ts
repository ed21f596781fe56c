import assert from 'node:assert/strict';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { Chart, isHook } from './chart.ts';
import { kindOf, KINDS } from './kinds.ts';
import { recordAt, textAt } from '../base/record.ts';

const CLUSTER = { namespace: 'mesh', kubeVersion: 'v1.36.3' };

/** A chart of one template, in a folder of its own. */
async function chartOf(context: TestContext, template: string, values = '{}'): Promise<Chart> {
  const folder = await mkdtemp(join(tmpdir(), 'maesh-chart-'));
  context.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'templates'));
  const files = {
    'Chart.yaml': 'name: x\nversion: 1.0.0\nappVersion: 1.0.0\n',
    'values.yaml': values,
    'values.schema.json': '{}',
    'templates/a.yaml': template,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return Chart.load(folder);
}

test('Chart.objects() has known kinds only, in the order in which they are made', async () => {
  const chart = await Chart.load();
  const given = {
    namespace: { create: true },
    networkPolicy: { enabled: true },
    metrics: { podMonitor: { enabled: true }, serviceMonitor: { enabled: true } },
  };
  const objects = chart.objects(chart.values(given), CLUSTER);
  const ranks = objects.map((object) => KINDS.indexOf(kindOf(object)));
  assert.deepEqual(
    ranks,
    ranks.toSorted((a, b) => a - b),
  );
  assert.deepEqual(
    new Set(objects.map((object) => textAt(object, 'kind'))),
    new Set(KINDS.map(({ kind }) => kind)),
  );
  for (const object of objects) {
    const labels = recordAt(object, 'metadata', 'labels');
    assert.equal(labels['app.kubernetes.io/managed-by'], 'maesh');
    assert.equal(labels['app.kubernetes.io/part-of'], 'maesh');
    assert.ok(!('helm.sh/chart' in labels) && !isHook(object));
  }
});

test('Chart.values() refuses what the schema does not know, with all that is wrong', async () => {
  const chart = await Chart.load();
  assert.throws(
    () =>
      chart.values({ contoller: {}, controller: { replicas: 'two' }, mesh: { default: 'some' } }),
    {
      code: 'invalid_setting',
      message: [
        'Cannot use "some" for "mesh.default": give one of "all", "opt-in"',
        'Cannot use "two" for "controller.replicas": give a whole number',
        'Cannot find a value "contoller": did you mean "controller"?',
      ].join('\n'),
    },
  );
});

test('Chart names template and line of what it cannot render', async (context) => {
  const cases: readonly (readonly [template: string, message: RegExp])[] = [
    [
      'a: 1\n{{ .Values.a | sha256sum }}',
      /"a\.yaml", line 2: the function "sha256sum" is not known/,
    ],
    ['{{ if true }}', /"a\.yaml", line 1: "if true" has no end/],
    ['{{ end }}', /"a\.yaml", line 1: "end" closes nothing/],
    ['\n\n{{ .Values.a.b.c }}', /"a\.yaml", line 3: there is nothing that could have "b"/],
    ['{{ $x }}', /there is no variable "\$x"/],
    ['{{ include "nothing" . }}', /nothing defines "nothing"/],
    ['{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}', /"a" includes itself/],
    ['{{ .Values }}', /a list or map is written without toYaml/],
    ['{{ ( }}', /cannot understand|not closed/],
    ['a: {{ "x" ', /an action is not closed/],
    ['a: b: c', /Cannot render "a\.yaml": /],
  ];
  for (const [template, message] of cases) {
    const make = async () => (await chartOf(context, template)).render({}, release);
    await assert.rejects(make, message, template);
  }
  const folder = join(tmpdir(), 'no-such-chart');
  await assert.rejects(Chart.load(folder), /Cannot read the chart in ".+no-such-chart"/);
});

const release = { name: 'maesh', namespace: 'maesh', service: 'Helm', kubeVersion: 'v1.36.3' };

test('Chart renders what Go does', async (context) => {
  const values = "a: ''\nlist: [x, 'yes']\nmap: {b: 1, a: 'no'}\nbig: 1000000\nhalf: 0.5\n";
  const cases: readonly (readonly [template: string, expected: unknown])[] = [
    ['v: {{ if .a }}1{{ else if .list }}2{{ else }}3{{ end }}', 2],
    ['v: {{ with .none }}1{{ else }}{{ .a | default "d" }}{{ end }}', 'd'],
    ['v: [{{ range $i, $x := .list }}{{ $i }}{{ $x | quote }},{{ end }}]', ['0"x"', '1"yes"']],
    ['v: {{ range $k, $x := .map }}{{ $k }}{{ end }}', 'ab'],
    ['v:\n  {{- toYaml .map | nindent 2 }}', { b: 1, a: 'no' }],
    ['v: {{ toJson .list }}', ['x', 'yes']],
    ['v: {{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}', 2],
    ['v: {{- /* not {{ this */ -}} {{ " 1" }}', 1],
    ['v: {{ printf "%s-%d%%" "a" 7 }}', 'a-7%'],
    ['v: {{ add 1 .half 2 }}', 3],
    ['v: {{ .half | quote }}', '0.5'],
    ['v: {{ (dict "a" (list 1 2)).a | last }}', /function "last"/],
    ['v: {{ index (list 1 2) 1 }}{{ first .list }}', '2x'],
    ['v: {{ merge (dict "a" "") (dict "a" "x" "b" "y") | toJson }}', { a: 'x', b: 'y' }],
    ['v: {{ omit .map "a" | toJson }}', { b: 1 }],
    ['v: {{ and 1 0 2 }}{{ or 0 "" 3 }}{{ not 0 }}', '03true'],
    ['v: {{ semverCompare ">=1.34-0" "v1.34.1-gke.1" }}', true],
    ['v: {{ semverCompare ">=1.34-0" "v1.33.9" }}', false],
    ['v: {{ semverCompare "<2" "v1.33.9" }}', /cannot compare/],
    ['v: {{ kindIs "bool" false }}{{ eq 1 2 1 }}{{ ne "a" "b" }}', 'truetruetrue'],
    ['v: {{ replace "+" "_" "X+2" | trimSuffix "2" | lower }}', 'x_'],
    [
      'v: "{{ contains ":" "::" }}{{ trim " a " }}{{ join "," .list }}{{ nil }}{{ .none }}"',
      'trueax,yes',
    ],
    ['v: {{ hasKey .map "z" }}{{ get .map "a" }}', 'falseno'],
  ];
  for (const [template, expected] of cases) {
    const inner = template.replaceAll(/ \.(?=[a-z])/g, ' $.Values.');
    const chart = await chartOf(context, inner, values);
    if (expected instanceof RegExp) {
      assert.throws(() => chart.render(chart.defaults, release), expected, template);
    } else {
      const [object] = chart.render(chart.defaults, release);
      assert.deepEqual(object?.['v'], expected, template);
    }
  }
});
