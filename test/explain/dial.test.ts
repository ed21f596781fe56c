/** Names in explain lead where the DNS of the mesh leads callers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';

import { RCODE, TYPE } from '../../src/dns/query.ts';
import { reverseZone } from '../../src/dns/reverse.ts';
import { ServiceView } from '../../src/dns/view.ts';
import { answer } from '../../src/dns/zone.ts';
import { parseAskedUrl } from '../../src/explain/asked-url.ts';
import { dial } from '../../src/explain/dial.ts';
import type { Service } from '../../src/model/service.ts';
import { exampleService } from '../support/model.ts';

const DOMAINS = ['maesh', 'shop.maesh', 'traefik.mesh'];
const SERVICES = ['shop/web', 'bank/web', 'shop/shop', 'web/shop'].map((key, i): Service => ({
  ...exampleService(key),
  address: `127.77.0.${i + 1}`,
}));
const options = { services: new Map(SERVICES.map((each) => [each.key, each])), domains: DOMAINS };

test('dial() finds an address exactly for the names that the mesh DNS answers, and the same', () => {
  const view = new ServiceView();
  const identities = { identities: [], removedIdentities: [] };
  view.apply({ version: 1, services: SERVICES, removedServices: [], ...identities });
  const labels = fc
    .tuple(
      fc.array(fc.constantFrom('web', 'WEB', 'shop', 'bank', 'x'), { minLength: 1, maxLength: 3 }),
      fc.constantFrom('maesh', 'Maesh', 'shop.maesh', 'traefik.mesh', 'mesh', 'example'),
    )
    .map(([below, domain]) => [...below, ...domain.split('.')]);
  const seen = new Set<string>();
  fc.assert(
    fc.property(labels, (all) => {
      const host = all.join('.');
      const question = { labels: all, type: TYPE.A, class: 1, wire: Buffer.alloc(0) };
      const { rcode, answers } = answer(question, view, {
        domains: DOMAINS,
        ttlSeconds: 5,
        nameServerAddress: '',
        reverse: reverseZone('127.77.0.0/16'),
      });
      const [record] = answers;
      const address = rcode === RCODE.NOERROR && record?.type === 'A' ? record.data : null;
      const found = dial({ host, port: 80 }, options);
      assert.equal(found.kind === 'reached' ? found.address : null, address, host);
      seen.add(String(address));
    }),
    { numRuns: 3_000 },
  );
  assert.ok(seen.size > 3, [...seen].join(' '));
});

test('dial() says what is near to a name or port that there is not', () => {
  const cases: readonly (readonly [host: string, port: number, text: string])[] = [
    [
      'wbe.bank.maesh',
      80,
      '"wbe.bank.maesh" is not the name of a Service in the mesh; did you mean "web.bank.maesh"?',
    ],
    [
      'web.bank',
      80,
      '"web.bank" is not a mesh name: those end in .maesh or .shop.maesh or .traefik.mesh; did you mean "web.bank.maesh"?',
    ],
    [
      'web.bank.maesh',
      81,
      'web.bank.maesh is 127.77.0.2, Service bank/web, which has no port 81 for connections: it has 80 (http)',
    ],
    ['127.77.0.9', 80, '"127.77.0.9" is not the address of a Service in the mesh'],
  ];
  for (const [host, port, text] of cases) {
    assert.deepEqual(dial({ host, port }, options), { kind: 'nowhere', text });
  }
});

test('parseAskedUrl() keeps what the parser of the proxy has to judge', () => {
  const cases: readonly (readonly [url: string, parts: string | null])[] = [
    ['http://web.shop.maesh', 'web.shop.maesh 80 web.shop.maesh /'],
    ['HTTP://Web:8080/a b?c#d', 'Web 8080 Web:8080 /a b?c'],
    ['web.shop.maesh?q', 'web.shop.maesh 80 web.shop.maesh /?q'],
    ['http://[::1]:81/../x', '::1 81 [::1]:81 /../x'],
    ['grpc://web:81/shop.Web/Get', 'web 81 web:81 /shop.Web/Get'],
    ['Grpc://web/shop.Web/Get#a', 'web 80 web /shop.Web/Get'],
    ['ws://web:81/chat?a', 'web 81 web:81 /chat?a'],
    ['wss://web', 'web 443 web /'],
    ['https://web:444/a', 'web 444 web:444 /a'],
    ['grpc://web', null],
    ['grpc://web/shop.Web', null],
    ['grpc://web//Get', null],
    ['grpc://web/shop.Web/Get?a', null],
    ['grpc://web/shop.Web/Get/more', null],
    ['https://a/', 'a 443 a /'],
    ['http://a:/', null],
    ['http://a:0/', null],
    ['http://a:65536/', null],
    ['http:///x', null],
    ['', null],
  ];
  for (const [url, parts] of cases) {
    const parsed = parseAskedUrl(url);
    const { host, port, authority, target } = parsed ?? {};
    assert.equal(parsed && `${host} ${port} ${authority} ${target}`, parts, url);
    assert.equal(parsed?.grpc === true, parts !== null && /^grpc:/i.test(url), url);
    assert.equal(parsed?.webSocket === true, parts !== null && /^wss?:/i.test(url), url);
  }
});
