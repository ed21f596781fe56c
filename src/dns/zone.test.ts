import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Answer } from 'dns-packet';

import { CLASS_IN, TYPE, type Question } from './query.ts';
import { makeDelta, makePort, makeService, makeView, ZONE } from './zone.fixture.ts';
import { reverseZone } from './reverse.ts';
import { answer, type Reply } from './zone.ts';

function ask(name: string, type: keyof typeof TYPE | number, klass = CLASS_IN): Reply {
  const labels = name === '' ? [] : name.split('.');
  const number = typeof type === 'number' ? type : TYPE[type];
  const question: Question = { labels, type: number, class: klass, wire: Buffer.alloc(0) };
  return answer(question, makeView(), ZONE);
}

/** `NOERROR A=1.2.3.4 | SOA=maesh | A=…`: answers, authorities, additionals in one line. */
function summary(reply: Reply): string {
  const section = (records: readonly Answer[]): string =>
    records.map((record) => `${record.type} ${record.name} ${dataOf(record)}`).join(', ');
  const rcode = ['NOERROR', '', '', 'NXDOMAIN', '', 'REFUSED'][reply.rcode] ?? '?';
  const flag = reply.authoritative ? 'aa' : '--';
  return [
    `${rcode} ${flag}`,
    section(reply.answers),
    section(reply.authorities),
    section(reply.additionals),
  ].join(' | ');
}

function dataOf(record: Answer): string {
  if (record.type === 'SRV') return `${record.data.port} ${record.data.target}`;
  if (record.type === 'SOA')
    return `${record.data.mname} ${record.data.serial} ${record.data.minimum}`;
  if (record.type === 'HINFO') return record.data.cpu;
  return 'data' in record && typeof record.data === 'string' ? record.data : '';
}

const SOA = 'SOA maesh ns.dns.maesh 7 5';
const SOA_T = 'SOA traefik.mesh ns.dns.traefik.mesh 7 5';
const SOA_R = 'SOA 77.127.in-addr.arpa ns.dns.maesh 7 5';
const NODATA = `NOERROR aa |  | ${SOA} | `;
const NXDOMAIN = `NXDOMAIN aa |  | ${SOA} | `;
const REFUSED = 'REFUSED -- |  |  | ';

const CASES: readonly (readonly [string, keyof typeof TYPE | number, string])[] = [
  // Services.
  ['web.shop.maesh', 'A', 'NOERROR aa | A web.shop.maesh 127.77.0.1 |  | '],
  ['WeB.sHOP.MaesH', 'A', 'NOERROR aa | A WeB.sHOP.MaesH 127.77.0.1 |  | '],
  ['web.shop.traefik.mesh', 'A', 'NOERROR aa | A web.shop.traefik.mesh 127.77.0.1 |  | '],
  ['web.shop.maesh', 'AAAA', NODATA],
  ['web.shop.maesh', 'NS', NODATA],
  ['web.shop.maesh', 'SRV', NODATA],
  ['web.shop.maesh', 65, NODATA],
  ['v6.shop.maesh', 'AAAA', 'NOERROR aa | AAAA v6.shop.maesh fd00::1 |  | '],
  ['v6.shop.maesh', 'A', NODATA],
  ['dual.two.maesh', 'A', 'NOERROR aa | A dual.two.maesh 127.77.0.12 |  | '],
  ['dual.two.maesh', 'AAAA', 'NOERROR aa | AAAA dual.two.maesh fd00::2 |  | '],
  // Pods of a headless Service.
  ['db.data.maesh', 'A', 'NOERROR aa | A db.data.maesh 127.77.0.3 |  | '],
  ['db-0.db.data.maesh', 'A', 'NOERROR aa | A db-0.db.data.maesh 10.1.0.5 |  | '],
  ['db-0.db.data.maesh', 'AAAA', 'NOERROR aa | AAAA db-0.db.data.maesh fd01::5 |  | '],
  ['db-0.db.data.maesh', 16, NODATA],
  ['db-1.db.data.maesh', 'A', NXDOMAIN],
  ['x.db-0.db.data.maesh', 'A', NXDOMAIN],
  ['db-0.flat.data.maesh', 'A', NXDOMAIN],
  // A Service that has no address yet is not there yet.
  ['none.core.maesh', 'A', NXDOMAIN],
  ['web.shop.maesh', 'ANY', 'NOERROR aa | HINFO web.shop.maesh RFC8482 |  | '],
  // What is not there.
  ['nope.shop.maesh', 'A', NXDOMAIN],
  ['nope.shop.traefik.mesh', 'A', `NXDOMAIN aa |  | ${SOA_T} | `],
  ['nope.shop.maesh', 'ANY', NXDOMAIN],
  ['web.nope.maesh', 'A', NXDOMAIN],
  ['nope.maesh', 'A', NXDOMAIN],
  ['x.web.shop.maesh', 'A', NXDOMAIN],
  ['a.b.c.d.web.shop.maesh', 'A', NXDOMAIN],
  ['we b.shop.maesh', 'A', NXDOMAIN],
  // Namespaces have names below them and no records.
  ['shop.maesh', 'A', NODATA],
  ['shop.maesh', 'ANY', NODATA],
  ['dns.maesh', 'A', NODATA],
  // The top.
  ['maesh', 'SOA', `NOERROR aa | ${SOA} |  | `],
  ['maesh', 'NS', 'NOERROR aa | NS maesh ns.dns.maesh |  | A ns.dns.maesh 127.0.0.1'],
  ['maesh', 'A', NODATA],
  ['ns.dns.maesh', 'A', 'NOERROR aa | A ns.dns.maesh 127.0.0.1 |  | '],
  ['ns.dns.maesh', 'AAAA', NODATA],
  // Ports.
  [
    '_http._tcp.web.shop.maesh',
    'SRV',
    'NOERROR aa | SRV _http._tcp.web.shop.maesh 80 web.shop.maesh |  | A web.shop.maesh 127.77.0.1',
  ],
  [
    '_HTTP._Tcp.web.shop.traefik.mesh',
    'SRV',
    'NOERROR aa | SRV _HTTP._Tcp.web.shop.traefik.mesh 80 web.shop.traefik.mesh |  | A web.shop.traefik.mesh 127.77.0.1',
  ],
  [
    '_dns._udp.web.shop.maesh',
    'SRV',
    'NOERROR aa | SRV _dns._udp.web.shop.maesh 53 web.shop.maesh |  | A web.shop.maesh 127.77.0.1',
  ],
  [
    '_http._tcp.v6.shop.maesh',
    'SRV',
    'NOERROR aa | SRV _http._tcp.v6.shop.maesh 80 v6.shop.maesh |  | AAAA v6.shop.maesh fd00::1',
  ],
  ['_http._udp.web.shop.maesh', 'SRV', NXDOMAIN],
  ['_dns._tcp.web.shop.maesh', 'SRV', NXDOMAIN],
  ['_http._tcp.web.shop.maesh', 'A', NODATA],
  ['_tcp.web.shop.maesh', 'A', NODATA],
  ['_udp.v6.shop.maesh', 'A', NXDOMAIN],
  ['__._tcp.plain.core.maesh', 'SRV', NXDOMAIN],
  ['_._tcp.plain.core.maesh', 'SRV', NXDOMAIN],
  // Reverse.
  [
    '1.0.77.127.in-addr.arpa',
    'PTR',
    'NOERROR aa | PTR 1.0.77.127.in-addr.arpa web.shop.maesh |  | ',
  ],
  [
    '9.3.77.127.IN-ADDR.ARPA',
    'PTR',
    'NOERROR aa | PTR 9.3.77.127.IN-ADDR.ARPA plain.core.maesh |  | ',
  ],
  ['1.0.77.127.in-addr.arpa', 'A', `NOERROR aa |  | ${SOA_R} | `],
  ['2.0.77.127.in-addr.arpa', 'PTR', `NXDOMAIN aa |  | ${SOA_R} | `],
  ['0.77.127.in-addr.arpa', 'PTR', `NOERROR aa |  | ${SOA_R} | `],
  ['77.127.in-addr.arpa', 'SOA', `NOERROR aa | ${SOA_R} |  | `],
  [
    '77.127.in-addr.arpa',
    'NS',
    'NOERROR aa | NS 77.127.in-addr.arpa ns.dns.maesh |  | A ns.dns.maesh 127.0.0.1',
  ],
  ['01.0.77.127.in-addr.arpa', 'PTR', `NXDOMAIN aa |  | ${SOA_R} | `],
  ['300.0.77.127.in-addr.arpa', 'PTR', `NXDOMAIN aa |  | ${SOA_R} | `],
  ['5.1.0.77.127.in-addr.arpa', 'PTR', `NXDOMAIN aa |  | ${SOA_R} | `],
  ['1.0.0.127.in-addr.arpa', 'PTR', REFUSED],
  ['127.in-addr.arpa', 'NS', REFUSED],
  ['in-addr.arpa', 'SOA', REFUSED],
  // Not ours.
  ['example.com', 'A', REFUSED],
  ['mesh', 'SOA', REFUSED],
  ['notmaesh', 'A', REFUSED],
  ['web.shop.maesh.default.svc.cluster.local', 'A', REFUSED],
  ['', 'NS', REFUSED],
  ['maesh', 'AXFR', REFUSED],
  ['maesh', 'IXFR', REFUSED],
];

for (const [name, type, expected] of CASES) {
  test(`answer() to ${name === '' ? '.' : name} ${type}`, () => {
    assert.equal(summary(ask(name, type)), expected);
  });
}

test('answer() refuses classes other than IN', () => {
  for (const klass of [0, 3, 4, 254, 255])
    assert.equal(summary(ask('web.shop.maesh', 'A', klass)), REFUSED);
});

test('answer() keeps a dot inside a label apart from a label end', () => {
  const question = {
    labels: ['web.shop', 'maesh'],
    type: TYPE.A,
    class: CLASS_IN,
    wire: Buffer.alloc(0),
  };
  assert.equal(answer(question, makeView(), ZONE).rcode, 3);
});

test('answer() gives every record the configured TTL', () => {
  for (const name of ['web.shop.maesh', 'nope.maesh', 'maesh', '1.0.77.127.in-addr.arpa']) {
    const reply = ask(name, name === 'maesh' ? 'NS' : 'A');
    for (const record of [...reply.answers, ...reply.authorities, ...reply.additionals]) {
      assert.equal('ttl' in record && record.ttl, 5);
    }
  }
});

test('answer() takes the longest of the domains that a name is in', () => {
  const question = {
    labels: ['web', 'shop', 'a', 'maesh'],
    type: TYPE.A,
    class: CLASS_IN,
    wire: Buffer.alloc(0),
  };
  const zone = { ...ZONE, domains: ['maesh', 'a.maesh'] };
  assert.match(summary(answer(question, makeView(), zone)), /A web\.shop\.a\.maesh 127\.77\.0\.1/);
});

test('answer() prefers a Service called ns in a namespace called dns over its own name server', () => {
  const view = makeView();
  view.apply(makeDelta(8, [makeService('dns/ns', '127.77.9.9', [makePort('', 53)])]));
  const question = {
    labels: ['ns', 'dns', 'maesh'],
    type: TYPE.A,
    class: CLASS_IN,
    wire: Buffer.alloc(0),
  };
  assert.match(summary(answer(question, view, ZONE)), /127\.77\.9\.9/);
});

test('ServiceView.apply() forgets what a delta removes and moves addresses', () => {
  const view = makeView();
  view.apply(
    makeDelta(
      9,
      [makeService('core/plain', '127.77.0.1', [makePort('', 80)])],
      ['shop/web', 'shop/v6', 'shop/unknown'],
    ),
  );
  assert.equal(view.version(), 9);
  assert.equal(view.service('shop', 'web'), undefined);
  assert.equal(view.hasNamespace('shop'), false);
  assert.equal(view.hasNamespace('core'), true);
  assert.equal(view.byAddress('127.77.0.1')?.key, 'core/plain');
  assert.equal(view.byAddress('127.77.3.9'), undefined);
});

test('in a cluster, where addresses come from anywhere, those of Services have reverse names', () => {
  const options = { ...ZONE, reverse: reverseZone('0.0.0.0/0') };
  const ptr = (name: string): string => {
    const labels = name.split('.');
    const question: Question = { labels, type: TYPE.PTR, class: CLASS_IN, wire: Buffer.alloc(0) };
    return summary(answer(question, makeView(), options));
  };
  assert.match(ptr('1.0.77.127.in-addr.arpa'), /^NOERROR aa \| PTR .* web\.shop\.maesh/);
  assert.match(ptr('7.0.96.10.in-addr.arpa'), /^NXDOMAIN aa/);
});
