import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ok, warning } from '../install/check/finding.ts';
import { lookedAt } from '../install/looked.fixture.ts';
import { statusOf } from '../install/status.ts';
import { aboutObject } from '../model/object-reference.ts';
import { alikeLines, groupAlike } from './alike.ts';
import { textOf } from './cluster-check.ts';
import { clusterText } from './status-text.ts';

/** As `noEndpointProblem` tells it: the remedy names the Service. */
function bare(name: string, value = '0', namespace = 'shop') {
  return warning('problems', {
    ...aboutObject('Service', namespace, name),
    field: 'ready endpoints',
    value,
    message: 'calls get 503',
    remedy: `check its Pods: kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${name}`,
  });
}

const OTHER = { ...bare('web-0'), message: 'something else', remedy: '' };
const MANY = Array.from({ length: 52 }, (_, i) => bare(`web-${i}`));

test('check tells what is alike of 52 Services once, with the first of them and how many more', () => {
  assert.deepEqual(textOf([ok('agents', 'fine'), ...MANY, OTHER], false).split('\n'), [
    'ok       agents    fine',
    'warning  problems  52 Services ready endpoints is "0": calls get 503',
    '                   for shop/web-0: check its Pods: kubectl -n shop get endpointslices -l',
    '                   kubernetes.io/service-name=web-0',
    '                   shop/web-0, shop/web-1, shop/web-2, shop/web-3, shop/web-4 and 47 more',
    'warning  problems  Service shop/web-0 ready endpoints is "0": something else',
    'all of them: maesh check -o json',
    '',
    '0 errors, 53 warnings',
  ]);
});

test('status tells it so too', () => {
  const text = clusterText(statusOf(lookedAt(undefined, { problems: MANY })), false);
  assert.deepEqual(text.split('\n').slice(-6), [
    'Problems: 0 errors, 52 warnings',
    '  warning 52 Services ready endpoints is "0": calls get 503',
    '          for shop/web-0: check its Pods: kubectl -n shop get endpointslices -l',
    '          kubernetes.io/service-name=web-0',
    '          shop/web-0, shop/web-1, shop/web-2, shop/web-3, shop/web-4 and 47 more',
    '  all of them: maesh status -o json',
  ]);
});

test('values that differ stand beside the names', () => {
  const all = [bare('a', '0'), bare('b', '0 for port 80'), bare('c', '', 'bank')];
  assert.deepEqual(alikeLines(all), [
    '3 Services ready endpoints: calls get 503',
    'for shop/a: check its Pods: kubectl -n shop get endpointslices -l kubernetes.io/service-name=a',
    'shop/a (0), shop/b (0 for port 80), bank/c',
  ]);
});

test('two objects, other fields, other words and other kinds are told by themselves', () => {
  const one = bare('a');
  const two = [one, bare('b')];
  assert.deepEqual([...groupAlike(two).values()], [[two[0]], [two[1]]]);
  const others = [
    one,
    { ...bare('b'), field: 'responses' },
    { ...bare('c'), severity: 'error' as const },
    { ...bare('d'), topic: 'names' },
    { ...bare('e'), message: 'calls get 504' },
    { ...one, ...aboutObject('Pod', 'shop', 'f') },
    { ...bare('g'), object: 'shop.yaml', ref: null },
  ];
  assert.ok([...groupAlike(others).values()].every(({ length }) => length === 1));
  // One object has the same several times.
  const same = [one, { ...one }, { ...one }];
  assert.equal(groupAlike(same).size, 3);
});

test('a name of an object that is a part of a word is no name', () => {
  const all = ['pod', 'pods', 'its'].map((name) => bare(name));
  assert.equal(groupAlike(all).size, 3, 'a Service "its" changes "check its Pods" too');
  const some = ['pod', 'check-me', 'kube'].map((name) => bare(name));
  assert.equal(groupAlike(some).size, 1);
});
