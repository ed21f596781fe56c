import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  agentOf,
  healthy,
  known,
  nodeNamed,
  podNamed,
  replicaOf,
} from '../install/facts.fixture.ts';
import { servicesIn, statusOf } from '../install/status.ts';
import { clusterText, serviceText, servicesText } from './status-text.ts';

test('maesh status shows a good cluster on one screen', () => {
  assert.deepEqual(clusterText(statusOf(healthy()), false).split('\n'), [
    'Mesh in namespace "maesh" of https://10.0.0.1:6443, Kubernetes v1.36.3',
    'Image maesh/maesh:0.1.0',
    '',
    'CONTROLLER          READY  LEADS  VERSION  AGENTS',
    'maesh-controller-a  yes    yes    41       1',
    'maesh-controller-b  yes           41       1',
    '',
    'NODE  AGENT          READY  SERVES',
    'n1    maesh-agent-a  yes    41',
    'n2    maesh-agent-b  yes    41',
    '',
    'Services: 2 published, 0 announced, 1 retired',
    'Problems: none',
  ]);
});

test('maesh status shows what is wrong where it is', () => {
  const problem = {
    severity: 'error' as const,
    object: 'Service shop/web',
    field: 'metadata.annotations["x"]',
    value: 'a\u001B[31m',
    message: 'is no number',
    remedy: 'give 1 to 10',
    location: '',
  };
  const facts = healthy({
    version: { ok: false, why: 'no answer', isForbidden: false },
    shadows: { ok: false, why: 'Cannot GET "/x": 403 Forbidden', isForbidden: true },
    pods: known([
      podNamed('maesh-controller-a', 'n1'),
      podNamed('maesh-controller-b', 'n2', { isReady: false, restarts: 4 }),
      podNamed('maesh-agent-a', 'n1'),
      podNamed('maesh-agent-b', 'n2', { isReady: false, trouble: 'ImagePullBackOff' }),
      podNamed('maesh-agent-c', 'n3'),
      podNamed('maesh-agent-d', 'n4', { isEnding: true }),
    ]),
    nodes: known([nodeNamed('n1'), nodeNamed('n2'), nodeNamed('n5', { isReady: false })]),
    replicas: new Map([
      [
        'maesh-controller-a',
        known(
          replicaOf('maesh-controller-a', {
            agents: [
              agentOf('maesh-agent-a', 'n1', {
                isBehind: true,
                lag: 2,
                servedVersion: 39,
                failures: ['port 10001: address in use'],
              }),
            ],
            problems: [{ ...problem, severity: 'warning', value: '', field: '' }, problem],
          }),
        ),
      ],
      ['maesh-controller-b', { ok: false, why: 'it closed the connection', isForbidden: false }],
    ]),
  });
  assert.deepEqual(clusterText(statusOf(facts), false).split('\n'), [
    'Mesh in namespace "maesh" of https://10.0.0.1:6443',
    'Image maesh/maesh:0.1.0',
    '',
    'CONTROLLER          READY  LEADS  VERSION  AGENTS',
    'maesh-controller-a  yes    yes    41       1',
    'maesh-controller-b  NO            -        -       it closed the connection; 4 restarts',
    '',
    'NODE  AGENT          READY  SERVES',
    'n1    maesh-agent-a  yes    39 (2 behind)  port 10001: address in use',
    'n2    maesh-agent-b  NO     -              ImagePullBackOff',
    'n3    maesh-agent-c  yes    -              not connected',
    'n4    maesh-agent-d  yes    -              ending',
    'n5    -              NO     -              no agent; the node is not ready',
    '',
    'Services: ? published, ? announced, ? retired',
    'Problems: 1 error, 1 warning',
    String.raw`  error   Service shop/web metadata.annotations["x"] is "a\u001b[31m": is no number`,
    '          give 1 to 10',
    '  warning Service shop/web: is no number',
    '          give 1 to 10',
    'Cannot be seen: Cannot GET "/x": 403 Forbidden',
  ]);
  assert.ok(clusterText(statusOf(facts), true).includes('\u001B[31mNO\u001B[39m     -'));
});

test('maesh status -n shows the Services of a namespace, and of a Service what agents see', () => {
  assert.equal(
    servicesText(servicesIn(healthy(), 'shop'), 'shop'),
    'SERVICE   STATE      PORTS\nshop/api  published  1\nshop/web  published  2',
  );
  assert.match(servicesText([], 'x'), /^No Service of namespace "x" has a mesh name$/);
  const status = {
    key: 'shop/web',
    state: 'published',
    names: ['web.shop.maesh'],
    address: '10.96.0.7',
    ports: ['80/http'],
    agents: [
      { node: 'n1', healthy: 1, total: 2, ejected: 1, breaker: 'open', note: '' },
      { node: 'n2', healthy: 0, total: 0, ejected: 0, breaker: '', note: 'does not know it yet' },
    ],
    problems: [],
  };
  assert.deepEqual(serviceText(status, false).split('\n'), [
    'Service shop/web: published',
    'Names:   web.shop.maesh',
    'Address: 10.96.0.7',
    'Ports:   80/http',
    '',
    'NODE  HEALTHY  EJECTED  BREAKER',
    'n1    1 of 2   1        open',
    'n2    -        -        -        does not know it yet',
    '',
    'Problems: none',
  ]);
});
