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
import { answerOf, lookedAt, statsOf } from '../install/looked.fixture.ts';
import { serviceStatus } from '../install/service-status.ts';
import { servicesStatus } from '../install/services-status.ts';
import { statusOf } from '../install/status.ts';
import { serviceText, servicesText } from './services-text.ts';
import { clusterText } from './status-text.ts';
import { aboutObject } from '../model/object-reference.ts';

const VERSION = statusOf(lookedAt()).client;

test('maesh status shows a good cluster on one screen', () => {
  assert.deepEqual(clusterText(statusOf(lookedAt()), false).split('\n'), [
    'Mesh in namespace "maesh" of https://10.0.0.1:6443, Kubernetes v1.36.3',
    `Image maesh/maesh:0.1.0; versions: client ${VERSION}, controllers 0.1.0, agents 0.1.0`,
    '',
    'CONTROLLER          READY  ROLE     AGENTS',
    'maesh-controller-a  yes    leader        1',
    'maesh-controller-b  yes    standby       1',
    '',
    'NODE  AGENT          READY  CONFIGURATION  SOCKETS',
    'n1    maesh-agent-a  yes    up to date     system',
    'n2    maesh-agent-b  yes    up to date     system',
    '',
    'Services: 2 published, 1 retired, 0 without a mesh name',
    'Traffic:  30.0 requests/s, 100.0 % success, p50/p95/p99 1.5/2.0/2.0 ms, 0 in flight',
    'Problems: none',
  ]);
});

test('maesh status shows what is wrong where it is', () => {
  const problem = {
    topic: 'problems',
    severity: 'error' as const,
    ...aboutObject('Service', 'shop', 'web'),
    field: 'metadata.annotations["x"]',
    value: 'a\u001B[31m',
    message: 'is no number',
    remedy: 'give 1 to 10',
    location: '',
  };
  const facts = healthy({
    version: { ok: false, why: 'no answer', isForbidden: false },
    pods: known([
      podNamed('maesh-controller-a', 'n1'),
      podNamed('maesh-controller-b', 'n2', { isReady: false, restarts: 4, trouble: 'Crash' }),
      podNamed('maesh-agent-a', 'n1'),
      podNamed('maesh-agent-b', 'n2', { isReady: false, trouble: 'ImagePullBackOff' }),
      podNamed('maesh-agent-c', 'n3'),
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
          }),
        ),
      ],
    ]),
  });
  const warning = { ...problem, severity: 'warning' as const, value: '', field: '' };
  const looked = lookedAt(facts, { problems: [problem, warning], outside: null, stats: [] });
  assert.deepEqual(clusterText(statusOf(looked), false).split('\n'), [
    'Mesh in namespace "maesh" of https://10.0.0.1:6443',
    `Image maesh/maesh:0.1.0; versions: client ${VERSION}, controllers 0.1.0, agents 0.1.0`,
    '',
    'CONTROLLER          READY  ROLE     AGENTS',
    'maesh-controller-a  yes    leader        1',
    'maesh-controller-b  NO     standby       ?  Crash; 4 restarts',
    '',
    'NODE  AGENT          READY  CONFIGURATION     SOCKETS',
    'n1    maesh-agent-a  yes    2 changes behind  unknown  cannot listen: port 10001: address in use',
    'n2    maesh-agent-b  NO     not connected     unknown  ImagePullBackOff',
    'n3    maesh-agent-c  yes    not connected     unknown',
    'n5    -              NO     -                 -        no agent; the node is not ready',
    '',
    'Services: 2 published, 1 retired, ? without a mesh name',
    'Traffic:  unknown',
    'Problems: 1 error, 1 warning',
    String.raw`  error   Service shop/web metadata.annotations["x"] is "a\u001b[31m": is no number`,
    '          give 1 to 10',
    '  warning Service shop/web: is no number',
    '          give 1 to 10',
  ]);
  assert.ok(clusterText(statusOf(looked), true).includes('\u001B[31mNO\u001B[39m     -'));
});

test('maesh status shows which agents do without sockets of their own, and why', () => {
  const system = { kind: 'system', reason: '' };
  const runtime = { kind: 'runtime', reason: 'no memory below 2 GiB' };
  const stats = [
    { ...answerOf('n1'), ok: true, value: { sockets: [system, runtime], services: [] } },
    { ...answerOf('n2'), ok: true, value: { sockets: [{ kind: 'runtime', reason: '' }] } },
  ] as const;
  const status = statusOf(lookedAt(healthy(), { stats }));
  const lines = clusterText(status, false).split('\n');
  assert.deepEqual(lines.slice(7, 10), [
    'NODE  AGENT          READY  CONFIGURATION  SOCKETS',
    'n1    maesh-agent-a  yes    up to date     runtime, system  no system sockets: no memory below 2 GiB',
    'n2    maesh-agent-b  yes    up to date     runtime',
  ]);
  assert.deepEqual(status.agents[0]?.sockets, [system, runtime]);
  assert.equal(statusOf(lookedAt(healthy(), { stats: [] })).agents[0]?.sockets, null);
});

const FORBIDDEN = { ok: false, why: 'Cannot GET "/x": 403 Forbidden', isForbidden: true } as const;

test('what may not be asked is unknown, with the reason once and the permissions that are missing', () => {
  const facts = healthy({
    nodes: FORBIDDEN,
    lease: FORBIDDEN,
    replicas: new Map([
      ['maesh-controller-a', FORBIDDEN],
      ['maesh-controller-b', FORBIDDEN],
    ]),
  });
  const denied = (node: string) =>
    ({
      pod: podNamed(`maesh-agent-${node}`, node),
      ok: false,
      why: FORBIDDEN.why,
      kind: 'forbidden',
    }) as const;
  const looked = lookedAt(facts, { stats: [denied('n1'), denied('n2')], outside: null });
  const text = clusterText(statusOf(looked), false);
  const [head = '', rest = ''] = text.split('\nProblems: ');
  assert.match(head, /maesh-controller-a {2}yes {4}unknown {7}\?$/m);
  assert.match(head, /n1 {4}maesh-agent-a {2}yes {4}unknown {8}unknown$/m);
  assert.doesNotMatch(text, /not connected/);
  assert.match(head, /\nTraffic: {2}unknown$/);
  assert.deepEqual(rest.split('\n'), [
    'none known; some parts could not be checked',
    'Unknown:  nodes without an agent; the leader; data of maesh-controller-a: connected agents and',
    '          problems; data of maesh-controller-b: connected agents and problems; traffic and health on',
    '          node n1; and 1 more',
    '          missing permissions: list nodes; get leases in maesh; get pods/proxy in maesh',
    '          Cannot GET "/x": 403 Forbidden',
    '          ask an administrator to bind "maesh-view" to you, the Role in namespace "maesh" and the',
    '          ClusterRole (docs/rbac.md)',
  ]);
});

test('maesh status -n and -A show figures of each Service, and why the others have no mesh name', () => {
  const told = [
    { key: 'shop/api', endpoints: { total: 2 }, ports: [{ port: 80, carried: true }] },
    { key: 'shop/web', endpoints: { total: 3 }, ports: [{ port: 80, carried: true }] },
    {
      key: 'shop/db',
      endpoints: { total: 1 },
      ports: [{ port: 5432, protocol: 'tcp', carried: false }],
    },
  ];
  const out = { servicePort: 80, address: '10.1.0.1', port: 8080, health: 'ejected' };
  const looked = lookedAt(healthy(), {
    services: told,
    outside: [{ service: 'shop/old', reason: 'maesh.dev/mesh is "disabled" on the Service' }],
    stats: [
      answerOf(
        'n1',
        statsOf('shop/web', 60, { breaker: 'closed', endpoints: [out], retriesPerSecond: 1.04 }),
      ),
      answerOf(
        'n2',
        statsOf('shop/web', 40, { breaker: 'open', failed: 40, latency: [[4, 8, 40]] }),
      ),
    ],
  });
  const lines = servicesText(servicesStatus(looked, 'shop'), false).split('\n');
  assert.deepEqual(lines, [
    'SERVICE  RATE  SUCCESS  P50  P95  P99  RETRY/S  429/S  BREAKER  HEALTHY',
    'api         0        -    -    -    -        0      0  -            2/2',
    'web       100   60.0 %  1.8  7.5  7.9      1.0      0  open         2/3',
    '',
    'Without a mesh name:',
    '  db                  this version carries none of its ports: 5432 (tcp)',
    '  old                 maesh.dev/mesh is "disabled" on the Service',
  ]);
  const all = servicesText(servicesStatus(looked, ''), false);
  assert.match(all, /^shop\/web /m);
  assert.match(
    servicesText(servicesStatus(lookedAt(), 'x'), false),
    /^No Service of namespace "x"/,
  );
  const unknown = [{ what: ['the state of mesh names'], permissions: [], reason: '', remedy: '' }];
  const blind = { namespace: '', services: [], outside: null, unknown };
  assert.match(servicesText(blind, false), /^The Services of the cluster are unknown$/m);
});

test('maesh status of a Service shows its endpoints and nodes, and no line is wider than 100 columns', () => {
  const endpoint = { servicePort: 80, address: '10.1.0.1', port: 8080, pod: 'shop/web-1' };
  const other = { ...endpoint, address: '10.1.0.2', pod: 'shop/web-2' };
  const of = (health: string) => ({ ...statsOf('', 10), ...endpoint, health });
  const looked = lookedAt(healthy(), {
    services: [
      {
        key: 'shop/web',
        names: ['web.shop.maesh'],
        address: '10.96.0.7',
        ports: [
          { port: 80, protocol: 'http', tls: false, because: 'default mode http', carried: true },
          { port: 443, protocol: 'tcp', tls: true, because: 'port name "https"', carried: false },
          { port: 81, protocol: 'http', carried: true },
        ],
        endpoints: { total: 2 },
      },
    ],
    stats: [
      answerOf(
        'n1',
        statsOf('shop/web', 20, {
          breaker: 'open',
          endpoints: [of('ejected'), { ...of('healthy'), ...other }],
        }),
      ),
      answerOf('n2', statsOf('shop/web', 10, { breaker: 'closed', endpoints: [of('healthy')] })),
      { pod: podNamed('maesh-agent-c', 'n3'), ok: false, why: 'timeout', kind: 'unreachable' },
    ],
  });
  const text = serviceText(serviceStatus(looked, 'shop/web'), false);
  assert.ok(
    text.split('\n').every((line) => line.length <= 100),
    text,
  );
  assert.deepEqual(text.split('\n').slice(0, 14), [
    'Service shop/web: published',
    'Names:    web.shop.maesh',
    'Address:  10.96.0.7',
    'Ports:    80/http (default mode http), 443/tcp with TLS of callers (port name "https"), 81/http',
    'Traffic:  30.0 requests/s, 100.0 % success, p50/p95/p99 1.5/2.0/2.0 ms, 0 in flight',
    '',
    'PORT  ENDPOINT       POD    HEALTH       RATE  SUCCESS  P50  P99  IN FLIGHT',
    '  80  10.1.0.1:8080  web-1  ejected 1/2  20.0  100.0 %  1.5  2.0          0  by n1',
    '  80  10.1.0.2:8080  web-2  healthy      10.0  100.0 %  1.5  2.0          0',
    '',
    'NODE  RATE  SUCCESS  P50  P95  P99  RETRY/S  429/S  BREAKER',
    'n1    20.0  100.0 %  1.5  1.9  2.0        0      0  open',
    'n2    10.0  100.0 %  1.5  2.0  2.0        0      0  closed',
    'n3       ?        ?    ?    ?    ?        ?      ?  ?        unknown: no answer',
  ]);
  assert.throws(() => serviceStatus(lookedAt(), 'shop/wbe'), /Cannot find Service "shop\/wbe"/);
});

test('maesh status shows when certificates expire, and those that cannot be used', () => {
  const secret = (name: string, notAfterMs: number) => ({
    secret: `shop/${name}`,
    digest: notAfterMs === 0 ? '' : 'x',
    names: [],
    notBeforeMs: notAfterMs === 0 ? 0 : 1,
    notAfterMs,
  });
  const told = {
    key: 'shop/web',
    ports: [],
    certificates: [
      secret('late', Date.UTC(2031, 4, 6)),
      secret('web-tls', Date.UTC(2030, 4, 6, 7, 8, 9)),
      secret('broken', 0),
      // What no version of a controller says.
      secret('odd', 1e300),
    ],
  };
  const looked = lookedAt(healthy(), { services: [told] });
  const status = serviceStatus(looked, 'shop/web');
  assert.deepEqual(
    status.certificates.map(({ notAfter }) => notAfter),
    ['2031-05-06T00:00:00Z', '2030-05-06T07:08:09Z', '', ''],
  );
  const [, line = '', more = ''] = serviceText(status, false).split('\n');
  assert.equal(
    `${line} ${more.trim()}`,
    'Expires:  late 2031-05-06T00:00:00Z, web-tls 2030-05-06T07:08:09Z, broken cannot be used, odd cannot be used',
  );
  const all = servicesText(servicesStatus(looked, 'shop'), false);
  assert.match(all, /^SERVICE .+ HEALTHY {2}EXPIRES$/m);
  assert.match(all, /^web .+ {2}2030-05-06$/m);
  const without = servicesStatus(lookedAt(), 'shop');
  assert.equal(without.services[0]?.certificatesEnd, '');
  assert.doesNotMatch(servicesText(without, false), /EXPIRES/);
});

test('maesh status says that another Service takes requests, and on which node', () => {
  const told = [{ key: 'shop/web', endpoints: { total: 2 }, ports: [] }];
  const stats = [
    answerOf('n1', statsOf('shop/web', 20, { failedOverPerSecond: 12.5 })),
    // One of an older version.
    answerOf('n2', statsOf('shop/web', 20)),
  ];
  const looked = lookedAt(healthy(), { services: told, stats });
  const one = serviceText(serviceStatus(looked, 'shop/web'), false);
  assert.match(one, /^Traffic: .* 12\.5 failed over\/s, 0 in\s+flight$/m);
  assert.match(one, /^n1 .* {2}12\.5 failed over\/s$/m);
  assert.match(one, /^n2 .*-$/m);
  const all = servicesText(servicesStatus(looked, 'shop'), false);
  assert.match(all, /^web .* {2}12\.5 failed over\/s$/m);
});

test('maesh status of a Service says what health checks found, where, and that a failing endpoint may get requests', () => {
  const bad = (state: string, ejected: boolean, reason = 'status 503') => ({
    ...statsOf('', 1),
    servicePort: 80,
    address: '10.1.0.1',
    port: 8080,
    pod: 'shop/web-1',
    health: ejected ? 'ejected' : 'healthy',
    check: { state, ejected, reason },
  });
  const lines = (...of: readonly object[]): readonly string[] => {
    const stats = of.map((each, i) =>
      answerOf(`n${i + 1}`, statsOf('shop/web', 1, { endpoints: [each] })),
    );
    const told = [{ key: 'shop/web', endpoints: { total: 1 }, ports: [] }];
    const looked = lookedAt(healthy(), { services: told, stats });
    const text = serviceText(serviceStatus(looked, 'shop/web'), false).split('\n');
    const from = text.findIndex((line) => line.startsWith('PORT'));
    return text.slice(from + 1, text.indexOf('', from));
  };
  assert.deepEqual(lines(bad('failing', true), bad('failing', true)), [
    '  80  10.1.0.1:8080  web-1  ejected   2.0  100.0 %  1.5  2.0          0  health check: status 503',
  ]);
  assert.deepEqual(lines(bad('failing', true), bad('passing', false, 'passed')), [
    '  80  10.1.0.1:8080  web-1  ejected 1/2   2.0  100.0 %  1.5  2.0          0',
    '    by n1; health check by n1: status 503',
  ]);
  assert.deepEqual(lines(bad('failing', false), bad('failing', false, 'no answer')), [
    '  80  10.1.0.1:8080  web-1  failing   2.0  100.0 %  1.5  2.0          0',
    '    health check by n1: status 503; health check by n2: no answer',
  ]);
  assert.deepEqual(lines(bad('passing', false, 'passed'), { ...bad('', false), check: 'odd' }), [
    '  80  10.1.0.1:8080  web-1  healthy   2.0  100.0 %  1.5  2.0          0',
  ]);
});
