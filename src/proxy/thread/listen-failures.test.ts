import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleService } from '../../../test/support/model.ts';
import { PortState, type ServiceState } from '../table/table.ts';
import { eachOnce, ListenFailures } from './listen-failures.ts';

const service = { ...exampleService('shop/web', { ports: [80, 81] }), address: '127.1.1.1' };
const [one, two] = service.ports.map((port) => new PortState({ service } as ServiceState, port));
assert.ok(one !== undefined && two !== undefined);

test('the list is another one only when something in it is', () => {
  const failures = new ListenFailures();
  const seen = new Set([failures.all]);
  const steps: readonly (readonly [change: () => unknown, codes: readonly string[]])[] = [
    [() => failures.fail(one, 'EADDRINUSE'), ['80 EADDRINUSE']],
    [() => failures.fail(one, 'EACCES'), ['80 EACCES']],
    [() => failures.deny(two), ['80 EACCES', '81 EMFILE']],
    [() => failures.mend(one), ['81 EMFILE']],
    [
      () => failures.break('a/b', [{ service: 'a/b', address: '', port: 1, code: 'DEFECT' }]),
      ['81 EMFILE', '1 DEFECT'],
    ],
    [() => failures.allow(two), ['1 DEFECT']],
    [() => failures.unbreak('a/b'), []],
  ];
  for (const [change, codes] of steps) {
    change();
    const { all } = failures;
    assert.deepEqual(
      all.map(({ port, code }) => `${port} ${code}`),
      codes,
    );
    assert.ok(!seen.has(all));
    seen.add(all);
    for (const idle of [
      () => failures.mend(two),
      () => failures.unbreak('x/y'),
      () => failures.failed.map((port) => failures.fail(port, all[0]?.code ?? '')),
    ])
      idle();
    assert.equal(failures.all, all, 'the same again');
  }
});

test('a port that two threads cannot open is told once', () => {
  const failure = { service: 'shop/web', address: '', port: 80, code: 'EMFILE' };
  assert.deepEqual(eachOnce([[failure], [{ ...failure }, { ...failure, port: 81 }]]), [
    failure,
    { ...failure, port: 81 },
  ]);
});
