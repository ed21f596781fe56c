import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { KubeObject } from '../kube/object.ts';
import type { Delta } from '../model/service.ts';
import { CompiledStore, refOf, TEST_OPTIONS } from './compiled-store.fixture.ts';
import * as make from './objects.fixture.ts';

function keys(delta: Delta | null): string[] {
  return (delta?.services ?? []).map(({ key }) => key);
}

/** What an update costs in compiled Services, and what it emits. */
function cost(compiled: CompiledStore): { compiled: number; emitted: string[] } {
  const before = compiled.compiler.compiledServices;
  const emitted = keys(compiled.update());
  return { compiled: compiled.compiler.compiledServices - before, emitted };
}

/** 1,000 Services with a Pod each, and every tenth of them with an EndpointSlice. */
function thousand(): CompiledStore {
  const compiled = new CompiledStore();
  for (let i = 0; i < 1_000; i++) {
    const address = `10.1.${i >> 8}.${i & 255}`;
    const pod = make.podOf(`p${i}`, `s${i}`, address, { nodeName: `n${i % 100}` });
    compiled.set(make.serviceOf(`s${i}`), pod);
    if (i % 10 === 0) {
      compiled.set(
        make.sliceOf(`e${i}`, `s${i}`, [make.endpointOf(address, { pod: `shop/p${i}` })]),
      );
    }
  }
  for (let i = 0; i < 100; i++) compiled.set(make.nodeOf(`n${i}`, 'z1'));
  assert.equal(keys(compiled.update()).length, 1_000);
  assert.equal(compiled.compiler.compiledServices, 1_000);
  return compiled;
}

suite('Compiler.update()', () => {
  test('returns version 1 for an empty store, and null while nothing follows', () => {
    const compiled = new CompiledStore();
    assert.deepEqual(compiled.update(), {
      version: 1,
      services: [],
      removedServices: [],
      identities: [],
      removedIdentities: [],
    });
    assert.equal(compiled.update(), null);
    compiled.set(make.nodeOf('n1', 'z1'));
    assert.equal(compiled.update(), null);
    compiled.set(make.serviceOf('web'));
    assert.equal(compiled.update()?.version, 2);
  });

  test('compiles one Service of 1,000 for a change of one Service, Pod or EndpointSlice', () => {
    const compiled = thousand();
    const steps: readonly (readonly [string, () => void])[] = [
      ['Service', () => compiled.set(make.serviceOf('s7', { ports: [make.portOf({ port: 81 })] }))],
      ['Pod of a selector', () => compiled.set(make.podOf('p7', 's7', '10.2.0.1'))],
      [
        'EndpointSlice',
        () => compiled.set(make.sliceOf('e10', 's10', [make.endpointOf('10.2.0.2')])),
      ],
      [
        'EndpointSlice that goes',
        () => compiled.delete({ kind: 'EndpointSlice', namespace: 'shop', name: 'e20' }),
      ],
      ['Endpoints', () => compiled.set(make.endpointsOf('s8', [make.endpointOf('10.2.0.3')]))],
    ];
    for (const [name, change] of steps) {
      change();
      const { compiled: count, emitted } = cost(compiled);
      assert.deepEqual([name, count, emitted.length <= 1], [name, 1, true]);
    }
  });

  test('a Pod touches the Services that select it before and after, and those whose slices name it', () => {
    const compiled = thousand();
    compiled.set(make.podOf('p7', 's8', '10.1.0.7'));
    assert.deepEqual(cost(compiled), { compiled: 2, emitted: ['shop/s7', 'shop/s8'] });
    const meta = make.metaOf('p30', 'shop', { annotations: { 'maesh.dev/weight': '5' } });
    compiled.set(make.podOf('p30', '', '10.1.0.30', { meta }));
    assert.deepEqual(cost(compiled), { compiled: 1, emitted: ['shop/s30'] });
    assert.equal(compiled.service('shop/s30')?.ports[0]?.backend.endpoints[0]?.weight, 5);
  });

  test('what a Service does not depend on any more touches it no more', () => {
    const compiled = thousand();
    compiled.set(make.sliceOf('e7', 's7', [make.endpointOf('10.1.0.7')]));
    compiled.set(make.podOf('p8', 's8', '10.1.0.8', { nodeName: 'elsewhere' }));
    assert.equal(cost(compiled).compiled, 2);
    compiled.set(make.podOf('p7', 's7', '10.2.0.7', { nodeName: 'n7' }));
    compiled.set(make.nodeOf('n8', 'z2'));
    const { emitted } = cost(compiled);
    assert.ok(!emitted.includes('shop/s7') && !emitted.includes('shop/s8'));
    assert.equal(emitted.length, 9);
  });

  test('a Node touches the Services with endpoints there, and only when its zone changes', () => {
    const compiled = thousand();
    compiled.set({ ...make.nodeOf('n3', 'z1'), meta: make.metaOf('n3', '', { uid: 'other' }) });
    assert.equal(cost(compiled).compiled, 0);
    compiled.set(make.nodeOf('n3', 'z2'));
    assert.equal(cost(compiled).compiled, 10);
    const identities = compiled.compiler.snapshot().identities;
    assert.equal(identities.get('10.1.0.3')?.zone, 'z2');
  });

  test('a Namespace touches its Services only when their membership changes', () => {
    const compiled = thousand();
    compiled.set(make.namespaceOf('shop', { annotations: { 'example.com/x': '1' } }));
    assert.equal(cost(compiled).compiled, 0);
    compiled.set(make.namespaceOf('shop', { labels: { 'maesh.dev/mesh': 'disabled' } }));
    assert.equal(compiled.update()?.removedServices.length, 1_000);
    assert.equal(compiled.compiler.snapshot().services.size, 0);
  });

  test('emits nothing for a change that makes no difference to the proxies', () => {
    const compiled = thousand();
    const version = compiled.compiler.snapshot().version;
    compiled.set(make.serviceOf('s7', { annotations: { 'example.com/note': 'x' } }));
    const labels = { app: 's7', extra: 'x' };
    compiled.set(
      make.podOf('p7', 's7', '10.1.0.7', {
        nodeName: 'n7',
        meta: make.metaOf('p7', 'shop', { labels }),
      }),
    );
    assert.equal(compiled.update(), null);
    assert.equal(compiled.compiler.snapshot().version, version);
  });

  test('changes problems without a delta', () => {
    const compiled = thousand();
    compiled.set(make.serviceOf('s7', { annotations: { 'maesh.dev/retries': '3' } }));
    assert.equal(compiled.update(), null);
    assert.deepEqual(
      compiled.problems().map(({ object, severity }) => [object, severity]),
      [['Service shop/s7', 'warning']],
    );
    compiled.set(make.serviceOf('s7'));
    assert.equal(compiled.update(), null);
    assert.deepEqual(compiled.problems(), []);
  });

  test('names a Pod that took over the address of another as the new identity', () => {
    const compiled = new CompiledStore();
    compiled.set(make.podOf('old', 'a', '10.0.0.1'), make.podOf('other', 'a', '10.0.0.2'));
    compiled.update();
    compiled.delete({ kind: 'Pod', namespace: 'shop', name: 'old' });
    compiled.set(make.podOf('new', 'a', '10.0.0.1'));
    const delta = compiled.update();
    assert.deepEqual(
      delta?.identities.map(({ address, pod }) => [address, pod]),
      [['10.0.0.1', 'new']],
    );
    assert.deepEqual(delta?.removedIdentities, []);
    compiled.delete({ kind: 'Pod', namespace: 'shop', name: 'new' });
    assert.deepEqual(compiled.update()?.removedIdentities, ['10.0.0.1']);
  });

  test('moves a Service when another one claims its address, and names both', () => {
    const compiled = new CompiledStore();
    compiled.set(make.serviceOf('web'));
    compiled.update();
    const address = compiled.service('shop/web')?.address ?? '';
    compiled.set(make.serviceOf('api', { clusterIP: address }));
    assert.deepEqual(keys(compiled.update()), ['shop/api', 'shop/web']);
    assert.equal(compiled.service('shop/api')?.address, address);
    assert.notEqual(compiled.service('shop/web')?.address, address);
    compiled.delete({ kind: 'Service', namespace: 'shop', name: 'api' });
    const delta = compiled.update();
    assert.deepEqual([keys(delta), delta?.removedServices], [['shop/web'], ['shop/api']]);
    assert.equal(compiled.service('shop/web')?.address, address);
  });

  test('leaves out endpoints that agents of the mesh have, whoever comes first, and takes them back', () => {
    const compiled = new CompiledStore({
      serviceCidr: null,
      defaultMode: 'http',
      meshAccount: 'maesh/maesh-agent',
    });
    const addresses = ['10.0.0.1', '10.0.0.2'].map((address) => make.endpointOf(address));
    compiled.set(make.serviceOf('web'), make.sliceOf('e', 'web', addresses));
    const endpoints = (): string[] =>
      compiled
        .service('shop/web')
        ?.ports.flatMap(({ backend }) => backend.endpoints.map(({ address }) => address)) ?? [];
    compiled.update();
    assert.deepEqual(endpoints(), ['10.0.0.1', '10.0.0.2']);
    const account = { serviceAccount: 'maesh-agent' };
    const agent = make.podOf('agent', '', '10.0.0.2', account);
    compiled.set(make.podOf('like-one', '', '10.0.0.1', account));
    compiled.set({ ...agent, meta: { ...agent.meta, namespace: 'maesh' } });
    compiled.update();
    assert.deepEqual(endpoints(), ['10.0.0.1'], 'an account of that name elsewhere is another');
    const [problem] = compiled.compiler.problems();
    assert.deepEqual(
      [problem?.severity, problem?.object, problem?.field, problem?.value],
      ['error', 'Service shop/web', 'endpoints', '10.0.0.2'],
    );
    compiled.delete({ kind: 'Pod', namespace: 'maesh', name: 'agent' });
    compiled.update();
    assert.deepEqual(endpoints(), ['10.0.0.1', '10.0.0.2']);
    assert.deepEqual(compiled.compiler.problems(), []);
  });

  test('leaves out endpoints that are cluster IPs of the mesh, whoever comes first, and takes them back', () => {
    const compiled = new CompiledStore({ serviceCidr: null, defaultMode: 'http' });
    const addresses = ['10.0.0.1', '10.96.0.7', 'fd00::7'].map((each) => make.endpointOf(each));
    compiled.set(make.serviceOf('web'), make.sliceOf('e', 'web', addresses));
    const endpoints = (): string[] =>
      compiled
        .service('shop/web')
        ?.ports.flatMap(({ backend }) => backend.endpoints.map(({ address }) => address)) ?? [];
    compiled.compiler.setMeshService('shop-api', ['10.96.0.7', 'fd00::7']);
    compiled.update();
    assert.deepEqual(endpoints(), ['10.0.0.1']);
    const [problem] = compiled.compiler.problems();
    assert.deepEqual(
      [problem?.severity, problem?.object, problem?.field, problem?.value],
      ['error', 'Service shop/web', 'endpoints', '10.96.0.7'],
    );
    compiled.compiler.setMeshService('maesh-dns', ['10.96.0.7']);
    compiled.compiler.setMeshService('shop-api', []);
    compiled.update();
    assert.deepEqual(endpoints(), ['10.0.0.1', 'fd00::7'], 'another one has the first now');
    compiled.compiler.setMeshService('maesh-dns', []);
    compiled.update();
    assert.deepEqual(endpoints(), ['10.0.0.1', '10.96.0.7', 'fd00::7']);
    assert.deepEqual(compiled.compiler.problems(), []);
    const { compiledServices } = compiled.compiler;
    compiled.compiler.setMeshService('maesh-dns', ['10.96.0.10']);
    assert.equal(compiled.update(), null);
    assert.equal(compiled.compiler.compiledServices, compiledServices, 'nobody leads there');
    compiled.compiler.setMeshService('maesh-dns', ['10.0.0.1']);
    compiled.update();
    assert.deepEqual(endpoints(), ['10.96.0.7', 'fd00::7']);
  });
});

test('that nobody is there to take over is told, until somebody is, and again when he is gone', () => {
  const compiled = new CompiledStore();
  const annotations = { 'maesh.dev/failover': 'dr' };
  const told = (): string[] =>
    compiled
      .problems()
      .flatMap(({ field, message }) => (field.includes('failover') ? [message] : []));
  compiled.set(make.serviceOf('web', { annotations }));
  compiled.update();
  assert.deepEqual(told(), ['there is no such Service, so nobody takes over']);
  const dr = make.serviceOf('dr');
  compiled.set({ ...dr, ports: dr.ports.map((port) => ({ ...port, port: port.port + 1 })) });
  compiled.update();
  assert.match(told().join(), /^it has no port \d+, so nobody takes over there$/);
  compiled.set(dr);
  compiled.update();
  assert.deepEqual(told(), []);
  compiled.delete(refOf(dr));
  compiled.update();
  assert.equal(told().length, 1);
});

test('a failover that can never happen is told, and what makes it possible is seen', () => {
  const compiled = new CompiledStore();
  const told = (): string[] =>
    compiled
      .problems()
      .flatMap(({ field, message }) => (field.includes('failover') ? [message] : []));
  const dr = make.serviceOf('dr');
  const bank = { ...dr, meta: make.metaOf('dr', 'bank') };
  const change = (...objects: readonly KubeObject[]): string => {
    compiled.set(...objects);
    compiled.update();
    return told().join();
  };
  const web = (service: string) =>
    make.serviceOf('web', { annotations: { 'maesh.dev/failover': service } });
  const port = dr.ports[0]?.port;
  assert.equal(change(web('dr'), dr), '');
  const out = make.serviceOf('dr', { annotations: { 'maesh.dev/mesh': 'disabled' } });
  const outside = 'it is not part of the mesh, so nobody takes over: maesh.dev/mesh is "disabled"';
  assert.equal(change(out), `${outside} on the Service`);
  assert.equal(change(dr), '');
  assert.match(
    change({ ...dr, type: 'ExternalName' }),
    /^it is not part of the mesh.*ExternalName/,
  );
  const tcp = make.serviceOf('dr', { annotations: { 'maesh.dev/traffic-type': 'tcp' } });
  assert.equal(
    change(tcp),
    `its port ${port} is tcp (maesh.dev/traffic-type: tcp), and this one http (default mode http), so nobody takes over there`,
  );
  const own = { [`maesh.dev/port.${port}.traffic-type`]: 'http' };
  assert.equal(change({ ...tcp, meta: make.metaOf('dr', 'shop', { annotations: own }) }), '');
  const udp = { ...dr, ports: dr.ports.map((each) => ({ ...each, protocol: 'UDP' })) };
  assert.equal(change(udp), `its port ${port} is UDP, so nobody takes over there`);
  assert.equal(change({ ...dr, ports: [...udp.ports, ...dr.ports] }), '', 'TCP beside UDP');
  assert.equal(change(web('bank/dr'), bank), '');
  const disabled = make.namespaceOf('bank', { labels: { 'maesh.dev/mesh': 'disabled' } });
  assert.equal(change(disabled), `${outside} on its Namespace`);
  assert.equal(change(make.namespaceOf('bank')), '');
  const optIn = new CompiledStore({
    ...TEST_OPTIONS,
    scope: { watchNamespaces: [], ignoreNamespaces: [], isOptIn: true },
  });
  const asked = { 'maesh.dev/failover': 'bank/dr', 'maesh.dev/mesh': 'enabled' };
  optIn.set(make.serviceOf('web', { annotations: asked }), bank, disabled);
  optIn.update();
  assert.match(
    optIn
      .problems()
      .map(({ message }) => message)
      .join(),
    /"disabled" on its Namespace/,
  );
  optIn.set(make.namespaceOf('bank'));
  optIn.update();
  assert.match(
    optIn
      .problems()
      .map(({ message }) => message)
      .join(),
    /opt-in mode: neither/,
  );
});

test('a port of UDP fails over to one of UDP', () => {
  const compiled = new CompiledStore();
  const annotations = { 'maesh.dev/failover': 'dr' };
  const web = make.serviceOf('web', { annotations });
  const dns = make.portOf({ name: 'dns', port: 53, protocol: 'UDP' });
  const dr = make.serviceOf('dr');
  const told = (...ports: (typeof dns)[]): string => {
    compiled.set({ ...web, ports: [...web.ports, dns] }, { ...dr, ports: [...dr.ports, ...ports] });
    compiled.update();
    const found = compiled.problems().filter(({ field }) => field.includes('failover'));
    return found.map(({ message, remedy }) => `${message}; ${remedy}`).join();
  };
  const or = 'or set maesh.dev/port.53.failover';
  assert.equal(told(), `it has no port 53, so nobody takes over there; give it the port 53, ${or}`);
  assert.equal(
    told({ ...dns, protocol: 'TCP' }),
    `its port 53 is TCP, so nobody takes over there; give it the port 53 of UDP, ${or}`,
  );
  assert.equal(told(dns, { ...dns, name: 'tcp', protocol: 'TCP' }), '');
});
