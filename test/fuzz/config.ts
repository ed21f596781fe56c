/** Fuzz targets of everything that reads what people write: expressions, annotations, manifests, DNS messages. */

import { readdirSync, readFileSync } from 'node:fs';
import { parseBreaker, printBreaker } from '../../src/compile/expression/breaker.ts';
import { describeFault } from '../../src/compile/expression/fault.ts';
import { parse } from '../../src/compile/expression/parse.ts';
import { print } from '../../src/compile/expression/print.ts';
import { policiesOf } from '../../src/compile/annotation/policies.ts';
import { readAnnotations } from '../../src/compile/annotation/read.ts';
import { ROWS } from '../../src/compile/annotation/table.ts';
import { fuzzDnsMessage } from '../../src/dns/zone.fixture.ts';
import { fuzzManifest } from '../../src/kube/manifest.fuzz.ts';
import { type FuzzTarget, invariant } from './target.ts';

const EXPRESSIONS = [
  'NetworkErrorRatio() > 0.30',
  'ResponseCodeRatio(500, 600, 0, 600) > 0.25 || LatencyAtQuantileMS(50.0) > 100',
  '!(NetworkErrorRatio() >= 0.1 && LatencyAtQuantileMS(99) != 5) || NetworkErrorRatio() == 1',
  'Host(`a.example`) && !PathPrefix("/x")',
];
const EXPRESSION_WORDS = [
  'NetworkErrorRatio()',
  'ResponseCodeRatio(',
  'LatencyAtQuantileMS(',
  '&&',
  '||',
  '!',
  '(',
  ')',
  ',',
  '>=',
  '<=',
  '==',
  '0.5',
  '1e9',
  '`',
  '"',
  '\\',
  '\n',
];

const expression: FuzzTarget = {
  name: 'expression',
  seeds: EXPRESSIONS.map((text) => Buffer.from(text)),
  dictionary: EXPRESSION_WORDS,
  run(input) {
    const text = input.toString('utf8');
    const term = parse(text);
    if (term.ok) {
      const printed = print(term.value);
      const again = parse(printed);
      invariant(again.ok && print(again.value) === printed, 'printing is stable');
    } else {
      invariant(term.error.line >= 1 && term.error.column >= 1, 'a fault has a place');
      invariant(term.error.offset <= text.length, 'the place is in the text');
      invariant(describeFault(text, term.error).includes('^'), 'the excerpt points at it');
    }
    const breaker = parseBreaker(text);
    if (!breaker.ok) return;
    const again = parseBreaker(printBreaker(breaker.value));
    invariant(
      again.ok && JSON.stringify(again.value) === JSON.stringify(breaker.value),
      'same breaker',
    );
  },
};

const NAMES = [...ROWS.keys()];
const REF = { kind: 'Service', namespace: 'shop', name: 'web' } as const;

/** Input: lines of `annotation=value`. */
const annotations: FuzzTarget = {
  name: 'annotations',
  seeds: [
    'retry-attempts=3\nretry-on=connect-failure,reset,status\nretry-statuses=502,503',
    'ratelimit-average=100\nratelimit-burst=200\nratelimit-per=caller',
    'circuit-breaker-expression=NetworkErrorRatio() > 0.3\nbreaker-open=10s',
    'timeout-request=1m30s\ntimeout-idle=250ms\nlimit-request-body=64Ki\nbalance=consistent-hash\nhash-key=header:x-user',
  ].map((text) => Buffer.from(text)),
  dictionary: [
    ...NAMES.map((name) => `${name}=`),
    ',',
    'ms',
    's',
    'Ki',
    '0x',
    '-1',
    '1e3',
    'true',
    '\n',
    'off',
  ],
  run(input) {
    const entries: Record<string, string> = Object.create(null) as Record<string, string>;
    for (const line of input.toString('utf8').split('\n').slice(0, 64)) {
      const cut = line.indexOf('=');
      if (cut > 0) entries[`maesh.dev/${line.slice(0, cut)}`] = line.slice(cut + 1);
    }
    const meta = {
      name: 'web',
      namespace: 'shop',
      labels: {},
      annotations: entries,
      uid: '',
      deletionTimestamp: '',
    };
    const { policies, findings } = policiesOf(readAnnotations('Service', REF, meta), REF);
    for (const finding of findings) {
      invariant(finding.remedy !== '' && finding.message !== '', 'a finding says what to do');
      invariant(finding.value.length <= 200, 'a value is shortened');
    }
    const { retry, rateLimit, ejection } = policies;
    if (retry !== null) invariant(retry.attempts >= 1 && retry.attempts <= 10, 'attempts in range');
    if (rateLimit !== null)
      invariant(rateLimit.average > 0 && rateLimit.burst >= 1, 'rate in range');
    invariant(ejection.maxEjectedRatio >= 0 && ejection.maxEjectedRatio <= 1, 'ratio in range');
    invariant(Object.values(policies.timeouts).every(isTime), 'times');
  },
};

/** Null is as the proxy has it for all. */
function isTime(ms: number | null): boolean {
  return ms === null || (ms >= 0 && Number.isFinite(ms));
}

const TESTDATA = new URL('../../src/kube/testdata/', import.meta.url);

const manifest: FuzzTarget = {
  name: 'manifest',
  seeds: readdirSync(TESTDATA)
    .filter((name) => name.includes('.in.'))
    .map((name) => readFileSync(new URL(name, TESTDATA)))
    .filter((text) => text.length < 8_192),
  dictionary: [
    'apiVersion: v1\n',
    'kind: Service\n',
    'kind: List\n',
    'metadata:\n',
    '  name: a\n',
    '---\n',
    '- ',
    ': ',
    '&a ',
    '*a',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '|',
    '>',
    '#',
    '\t',
    '!!str ',
    'null',
    '~',
    '0o7',
    '.inf',
  ],
  run(input) {
    fuzzManifest(input);
  },
};

/** A query for `name` with one question. */
function dnsQuery(name: string, type: number): Buffer {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  return Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, type, 0, 1]);
}

const dns: FuzzTarget = {
  name: 'dns',
  seeds: [
    dnsQuery('web.shop.maesh', 1),
    dnsQuery('_http._tcp.web.shop.maesh', 33),
    dnsQuery('1.0.77.127.in-addr.arpa', 12),
    dnsQuery('maesh', 6),
    Buffer.concat([
      dnsQuery('web.shop.maesh', 28),
      Buffer.from([0, 0, 41, 4, 208, 0, 0, 128, 0, 0, 0]),
    ]),
  ],
  dictionary: [
    '\x03web',
    '\x04shop',
    '\x05maesh',
    '\xc0\x0c',
    '\x00',
    '\x3f',
    '\x00\x29',
    '\xff\xff',
  ],
  run(input) {
    fuzzDnsMessage(input);
  },
};

export const CONFIG_TARGETS: readonly FuzzTarget[] = [expression, annotations, manifest, dns];
