/** Routes by annotation over time, and in sizes that nobody means well. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { TcpRoute } from '../model/route.ts';
import type { Service } from '../model/service.ts';
import { readRoutes, ROUTES_LENGTH_MAX } from './annotation/read-routes.ts';
import { CompiledStore } from './compiled-store.fixture.ts';
import * as make from './objects.fixture.ts';
import { ROUTES_MAX } from './service/routes.ts';

function serviceOf(name: string, annotations: Readonly<Record<string, string>>, ports = [443]) {
  const all = ports.map((port) => make.portOf({ name: `tls-${port}`, port }));
  return { ...make.serviceOf(name, { annotations }), ports: all };
}

const routed = (routes: string, ports?: number[]) =>
  serviceOf('web', { 'maesh.dev/routes': routes }, ports);

function routesOf(service: Service | undefined): readonly TcpRoute[] {
  const [port] = service?.ports ?? [];
  assert(port?.protocol === 'tcp');
  return port.routes;
}

const leadsNowhere = ({ backends }: TcpRoute): boolean =>
  backends.length > 0 && backends.every(({ invalid }) => invalid !== '');

function messages(store: CompiledStore): string[] {
  return store
    .problems()
    .filter(({ field }) => field.includes('routes'))
    .map(({ message }) => message);
}

test('a Service that a route leads to may come, change and go: problems follow', () => {
  const store = new CompiledStore();
  store.set(routed('[{match: HostSNI(`a.example`), to: [{service: other}]}]'));
  store.update();
  assert.deepEqual(messages(store), ['routes[0].to[0]: there is no such Service']);
  store.set(serviceOf('other', {}, [444]));
  store.update();
  assert.deepEqual(messages(store), ['routes[0].to[0]: it has no port 443']);
  store.set(serviceOf('other', { 'maesh.dev/traffic-type': 'http' }));
  store.update();
  assert.match(messages(store).join(), /its port 443 is http/);
  store.set(serviceOf('other', {}));
  store.update();
  assert.deepEqual(messages(store), []);
  store.set(serviceOf('other', { 'maesh.dev/mesh': 'disabled' }));
  store.update();
  assert.match(messages(store).join(), /not part of the mesh/);
  // The route stays, and leads to whoever is there.
  assert.equal(routesOf(store.services.get('shop/web'))[0]?.backends[0]?.backend, 'shop/other:443');
});

const list = (count: number, to = '[{service: web}]'): string =>
  Array.from({ length: count }, (_, i) => `- {match: HostSNI(\`n${i}\`), to: ${to}}`).join('\n');

test('a list that is too long, or of too many, denies, and is told', () => {
  const long = readRoutes(`${list(10)}\n#${'x'.repeat(ROUTES_LENGTH_MAX)}`);
  assert.deepEqual(
    long.routes.map(({ rule, isUnreadable }) => [rule, isUnreadable]),
    [[null, true]],
  );
  // Each port has all of them: the third one has no room.
  const store = new CompiledStore();
  const count = 2_200;
  store.set(routed(list(count), [443, 444, 445]));
  store.update();
  const ports = store.services.get('shop/web')?.ports ?? [];
  assert.deepEqual(
    ports.map(({ routes }) => routes.length),
    [count, count, 1],
  );
  const [only] = ports[2]?.routes ?? [];
  assert(only !== undefined && leadsNowhere(only as TcpRoute) && only.matches.length === 0);
  assert.match(messages(store).join(), new RegExp(`at most ${ROUTES_MAX} routes`));
});

test('a list of mistakes is told in part, and costs no more than a list without', () => {
  const broken = Array.from({ length: 4_000 }, () => '- {match: HostSNi(`a`), to: [{x: y}]}');
  const text = broken.join('\n');
  const started = process.cpuUsage().user;
  const { routes, faults } = readRoutes(text);
  const ms = (process.cpuUsage().user - started) / 1_000;
  assert.equal(faults.length, 21);
  assert.match(faults.at(-1)?.message ?? '', /more problems of the list/);
  assert.ok(routes.every(({ isUnreadable, rule }) => isUnreadable && rule === null));
  assert.ok(ms < 3_000, `${ms} ms`);
});

test('endpoints that change do not read the list anew', () => {
  const store = new CompiledStore();
  store.set(routed(list(2_000)));
  store.update();
  const started = process.cpuUsage().user;
  for (let i = 0; i < 20; i++) {
    store.set(make.sliceOf('web-1', 'web', [make.endpointOf(`10.0.0.${i + 1}`)]));
    store.update();
  }
  const ms = (process.cpuUsage().user - started) / 1_000;
  assert.ok(ms < 4_000, `${ms} ms`);
});

test('whatever the text is, it is read or denies: never nothing', () => {
  const words = ['- ', 'match: ', 'HostSNI(`a`)', '\n', 'to: ', '[', ']', '{', '}', 'service: web'];
  const more = [',', 'priority: 3', ' ', '*', '&a ', '!!x ', "'", '"', 'ALPN(`h2`)', '# ', '---\n'];
  const piece = fc.constantFrom(...words, ...more, '\0');
  const text = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 30 }).map((all) => all.join('')),
  );
  fc.assert(
    fc.property(text, (given) => {
      const { routes, faults } = readRoutes(given);
      assert.ok(routes.length > 0, given);
      assert.equal(
        faults.length > 0,
        routes.some(({ isUnreadable }) => isUnreadable),
      );
      for (const { isUnreadable, rule, to } of routes)
        assert.ok(isUnreadable || (rule !== null && to.length > 0), given);
    }),
  );
});
