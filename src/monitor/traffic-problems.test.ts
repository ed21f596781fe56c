import assert from 'node:assert/strict';
import { test } from 'node:test';

import { exampleEndpoint, exampleService, withProtocol } from '../../test/support/model.ts';
import { ManualClock } from '../base/clock.ts';
import { FAILURE_REASONS } from '../model/failure.ts';
import { type Trouble, TROUBLE_KINDS, troubleProblem } from '../model/trouble.ts';
import { TrafficProblems } from './traffic-problems.ts';

const WEB = exampleService('shop/web', { endpoints: [exampleEndpoint('10.1.0.1')] });

function setUp(services = [WEB]) {
  const clock = new ManualClock();
  const troubles: Trouble[] = [];
  const map = new Map(services.map((service) => [service.key, service]));
  const traffic = new TrafficProblems({
    clock,
    except: 'maesh/maesh-probe',
    snapshot: () => ({ version: 1, services: map, identities: new Map() }),
    troubles: () => troubles,
  });
  const told = (): readonly string[] =>
    traffic
      .problems()
      .map(({ severity, object, field, value }) => `${severity} ${object}: ${field} ${value}`);
  return { clock, troubles, map, told };
}

test('TrafficProblems says once what agents of several nodes report, and nothing of unknown Services', () => {
  const { troubles, told, map } = setUp();
  const failing = { service: 'shop/web', kind: 'failing', detail: 'connect_timeout' } as const;
  troubles.push(failing, { ...failing }, { ...failing, service: 'shop/gone' });
  assert.deepEqual(told(), ['error Service shop/web: responses connect_timeout']);
  map.clear();
  assert.deepEqual(told(), []);
});

test('TrafficProblems warns of a Service without an endpoint, when that lasts', () => {
  const { clock, troubles, told, map } = setUp([exampleService('shop/web')]);
  assert.deepEqual(told(), []);
  clock.advance(14_999);
  assert.deepEqual(told(), [], 'its only Pod may be on its way');
  clock.advance(1);
  assert.deepEqual(told(), ['warning Service shop/web: ready endpoints 0']);
  troubles.push({ service: 'shop/web', kind: 'failing', detail: 'no_endpoint' });
  assert.deepEqual(told(), ['error Service shop/web: responses no_endpoint'], 'and somebody calls');
  troubles.length = 0;
  map.set('shop/web', WEB);
  assert.deepEqual(told(), []);
  map.set('shop/web', exampleService('shop/web'));
  assert.deepEqual(told(), [], 'it starts anew');
});

test('TrafficProblems leaves the Service of the data path to its check', () => {
  const { clock, troubles, told } = setUp([exampleService('maesh/maesh-probe')]);
  troubles.push({ service: 'maesh/maesh-probe', kind: 'failing', detail: 'connect_failed' });
  told();
  clock.advance(60_000);
  assert.deepEqual(told(), []);
});

test('TrafficProblems says nothing of ports that are not carried', () => {
  const service = exampleService('shop/db');
  const tls = { serverName: 'a.example', trust: 'public', ca: '', client: null } as const;
  const ports = service.ports.map((port) => withProtocol(port, 'tcp'));
  const later = ports.map((port) => ({ ...port, backend: { ...port.backend, tls } }));
  const { clock, told } = setUp([{ ...service, ports: later }]);
  told();
  clock.advance(60_000);
  assert.deepEqual(told(), []);
});

test('TrafficProblems names the port that has no endpoint beside others that have', () => {
  const service = exampleService('shop/web', { ports: [80, 81] });
  const [one, two] = service.ports;
  assert.ok(one && two);
  const endpoints = [exampleEndpoint('10.1.0.1')];
  const half = { ...service, ports: [{ ...one, backend: { ...one.backend, endpoints } }, two] };
  const { clock, told } = setUp([half]);
  told();
  clock.advance(15_000);
  assert.deepEqual(told(), ['warning Service shop/web: ready endpoints 0 for port 81']);
});

test('troubleProblem() has object, value and remedy for every kind and every reason', () => {
  for (const kind of TROUBLE_KINDS) {
    for (const detail of ['', '10.1.0.1:80', 'of-tomorrow', ...FAILURE_REASONS]) {
      const problem = troubleProblem({ service: 'shop/web', kind, detail }, WEB);
      assert.equal(problem.object, 'Service shop/web');
      for (const text of [problem.field, problem.message, problem.remedy]) {
        assert.ok(text !== '' && !text.includes('undefined'), JSON.stringify(problem));
      }
    }
  }
});
