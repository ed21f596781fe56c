/** Labels of callers, from the Pod to what a proxy thread gets. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameReader, type Frame } from '../../discovery/frame.ts';
import { MeshState } from '../../discovery/mesh-state.ts';
import { encodeParts, readPart } from '../../discovery/part.ts';
import { PAYLOAD_BYTES_MAX, readPayload } from '../../discovery/payload.ts';
import { Pool } from '../../discovery/pool.ts';
import { Columns, IDENTITY_COLUMNS } from '../../discovery/rows.ts';
import { labelsOfText, labelsText, NO_LABELS } from '../../model/endpoint.ts';
import type { Delta } from '../../model/service.ts';
import { CompiledStore, TEST_OPTIONS } from '../compiled-store.fixture.ts';
import { metaOf, podOf } from '../objects.fixture.ts';

type Labels = Readonly<Record<string, string>>;

function withLabels(callerLabels: readonly string[]): CompiledStore {
  return new CompiledStore({ ...TEST_OPTIONS, callerLabels });
}

function set(compiled: CompiledStore, name: string, address: string, labels: Labels): void {
  compiled.set(podOf(name, '', address, { meta: metaOf(name, 'shop', { labels }) }));
}

function framesOf(change: Delta): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader(PAYLOAD_BYTES_MAX, (frame) => frames.push(frame));
  for (const { bytes } of encodeParts(change, 1, { onTooLong: assert.fail }))
    assert.equal(reader.push(bytes), null);
  return frames;
}

test('callers have the labels that rules name and no others, down to the proxy thread, one copy of each set', () => {
  const compiled = withLabels(['tier', 'app']);
  set(compiled, 'a', '10.0.0.1', { app: 'web', tier: 'front', 'pod-template-hash': 'x1' });
  set(compiled, 'b', '10.0.0.2', { 'pod-template-hash': 'x2', tier: 'front', app: 'web' });
  set(compiled, 'c', '10.0.0.3', { role: 'admin' });
  set(compiled, 'd', '10.0.0.4', { app: '' });
  const change = compiled.update();
  assert(change !== null);
  const meshState = new MeshState();
  const pool = new Pool();
  for (const frame of framesOf(change)) meshState.add(readPart(frame, pool));
  const received = meshState.commit(1);
  assert.deepEqual(received?.identities, change.identities);
  for (const identities of [
    change.identities,
    received.identities,
    structuredClone(received).identities,
  ]) {
    const [a, b, c, d] = identities.map(({ labels }) => labels);
    assert.deepEqual([a, c, d], [{ app: 'web', tier: 'front' }, {}, { app: '' }]);
    assert.equal(a, b);
  }
});

test('only a change of a label that is named changes a caller', () => {
  const compiled = withLabels(['app']);
  set(compiled, 'a', '10.0.0.1', { app: 'web', other: '1' });
  compiled.update();
  set(compiled, 'a', '10.0.0.1', { app: 'web', other: '2' });
  assert.equal(compiled.update(), null);
  set(compiled, 'a', '10.0.0.1', { app: 'api', other: '2' });
  assert.deepEqual(compiled.update()?.identities[0]?.labels, { app: 'api' });
});

test('while no rule names a label, none is kept or sent', () => {
  const compiled = new CompiledStore();
  set(compiled, 'a', '10.0.0.1', { app: 'web' });
  const change = compiled.update();
  assert.equal(change?.identities[0]?.labels, NO_LABELS);
  const [frame] = framesOf(change);
  const { identities } = readPayload(frame!) as { readonly identities: readonly unknown[][] };
  assert.equal(identities[0]?.length, 6);
});

test('a manifest cannot say another label by the value of one', () => {
  const compiled = withLabels(['app', 'role', '__proto__']);
  set(compiled, 'a', '10.0.0.1', { app: 'web,role=admin' });
  assert.equal(compiled.update()?.identities[0]?.labels, NO_LABELS);
});

test('a reader that does not know the column takes rows with and without it', () => {
  const compiled = withLabels(['app']);
  set(compiled, 'a', '10.0.0.1', { app: 'web' });
  set(compiled, 'b', '10.0.0.2', {});
  const change = compiled.update();
  assert(change !== null);
  const part = readPayload(framesOf(change)[0]!) as {
    readonly identities: readonly unknown[][];
    readonly identityColumns: readonly string[];
    readonly sharedColumns: readonly string[];
    readonly texts: readonly string[];
  };
  const known = IDENTITY_COLUMNS.slice(0, 6);
  const table = { shared: new Set(part.sharedColumns), texts: part.texts };
  const columns = new Columns(part.identityColumns, known, table);
  for (const row of part.identities) {
    const identity = { address: columns.get(row, 0) };
    columns.addExtra(row, identity);
    assert.match(String(identity.address), /^10\./);
  }
});

test('labelsText() and labelsOfText() are inverse, and the order of names does not matter', () => {
  const labels = { 'app.kubernetes.io/name': 'web', a: '', z: '1' };
  const text = labelsText(labels);
  assert.equal(text, 'a=,app.kubernetes.io/name=web,z=1');
  assert.equal(labelsText({ z: '1', a: '', 'app.kubernetes.io/name': 'web' }), text);
  assert.deepEqual(labelsOfText(text), labels);
  for (const bad of ['a', '=a', 'a=1,,b=2']) assert.throws(() => labelsOfText(bad), /not a label/);
});
