import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Known } from '../facts/facts.ts';
import type { PreFacts } from '../facts/pre-facts.ts';
import { known } from '../facts.fixture.ts';
import { isFlaw } from './finding.ts';
import { checkBefore } from './pre.ts';

const GOOD: PreFacts = {
  namespace: 'maesh',
  version: known('v1.36.3'),
  mesh: known(null),
  target: known(null),
  clashes: known([]),
  missing: known([]),
  traefik: known([]),
  dns: known({
    flavor: 'kubernetes',
    changes: ['ConfigMap kube-system/coredns Corefile'],
    problems: [],
  }),
};
const UNSEEN: Known<never> = { ok: false, why: '403 Forbidden', isForbidden: true };

function told(over: Partial<PreFacts> = {}): readonly string[] {
  return checkBefore({ ...GOOD, ...over }).map((finding) =>
    isFlaw(finding)
      ? `${finding.severity} ${finding.topic}: ${finding.object} is "${finding.value}": ${finding.message}; ${finding.remedy}`
      : `ok ${finding.topic}: ${finding.message}`,
  );
}

test('checkBefore() says of a cluster that is ready what it looked at, and what will change', () => {
  assert.deepEqual(told(), [
    'ok Kubernetes: v1.36.3',
    'ok mesh: no mesh is installed',
    'ok namespace: "maesh" will be created',
    'ok names: all names are free',
    'ok permissions: you may create everything that is needed',
    'ok cluster DNS: kubernetes: ConfigMap kube-system/coredns Corefile gets one stanza for the mesh domains',
  ]);
});

test('checkBefore() names everything that is in the way, with the way out', () => {
  const cases: readonly (readonly [over: Partial<PreFacts>, expected: RegExp])[] = [
    [
      { version: known('v1.20.1') },
      /^error Kubernetes: .+ is "v1\.20\.1": maesh needs .+; upgrade/,
    ],
    [
      { mesh: known({ namespace: 'maesh', helmRelease: '' }) },
      /^error mesh: Namespace maesh is "installed": .+; change it with: maesh upgrade$/,
    ],
    [
      { mesh: known({ namespace: 'other', helmRelease: 'm' }) },
      /^error mesh: Namespace other .+ --mesh-namespace other, or uninstall it first$/,
    ],
    [
      { mesh: known({ namespace: 'maesh', helmRelease: 'm' }) },
      /^error mesh: .+ helm upgrade m CHART -n maesh$/,
    ],
    [
      { target: known({ isEnding: true, enforce: '' }) },
      /^error namespace: Namespace maesh is "Terminating": .+; wait until it is gone/,
    ],
    [
      { clashes: known([{ object: 'PriorityClass maesh', owner: 'Argo' }]) },
      /^error names: PriorityClass maesh is "Argo": has a name that maesh needs.+; delete it/,
    ],
    [
      { missing: known(['create clusterroles']) },
      /^error permissions: Your user is "": lacks 1 permission: create clusterroles; install as/,
    ],
    [
      { traefik: known(['mesh']) },
      /^warning Traefik Mesh: Namespace mesh is "Traefik Mesh": .+; docs\/install\.md/,
    ],
    [{ clashes: UNSEEN }, /^warning names: names is "unknown": 403 Forbidden; run this with more/],
    [{ dns: UNSEEN }, /^warning cluster DNS: cluster DNS is "unknown"/],
  ];
  for (const [over, expected] of cases) {
    const flaws = told(over).filter((line) => !line.startsWith('ok '));
    assert.equal(flaws.length, 1, flaws.join('\n'));
    assert.match(flaws[0] ?? '', expected);
  }
});

test('checkBefore() tells of a namespace that is there whether its Pods will be admitted', () => {
  const line = told({ target: known({ isEnding: false, enforce: 'restricted' }) })[2];
  assert.match(line ?? '', /with Pod Security "restricted": the Pods of maesh meet "restricted"$/);
});
