import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Identity } from '../model/endpoint.ts';
import type { Service } from '../model/service.ts';
import { Archive } from './archive.ts';
import { Cursor } from './cursor.ts';
import { FRAME_TYPE, FrameReader, type Frame } from './frame.ts';
import { readCommit } from './message.ts';
import { encodeParts, readPart, type Part, type PartOptions } from './part.ts';
import { isUnderstood, type Understanding } from './part-frame.ts';
import { PAYLOAD_BYTES_MAX } from './payload.ts';
import { Pool } from './pool.ts';
import { MeshState } from './mesh-state.ts';
import { delta, identity, partOf, service } from './stream.fixture.ts';

const never = (): never => assert.fail('a Service is too long');

/** What Services with this address need of their readers. */
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  one: ['port.tls'],
  both: ['port.tls', 'route.match'],
};
const OPTIONS: PartOptions = {
  onTooLong: never,
  needsOf: ({ address }) => NEEDS[address] ?? [],
};
const NOTHING: Understanding = new Set();

/** The data of a controller and its archive, with room for few changes. */
class Model {
  readonly services = new Map<string, Service>();
  readonly identities = new Map<string, Identity>();
  readonly archive = new Archive(this, OPTIONS, {
    changes: 5,
    changesBytes: 10_000,
    tailChanges: 4,
    tailBytes: 1_000,
  });
  version = 0;
  /** The data at each version, as text, by what its reader understands. */
  readonly texts = new Map<string, string>();

  readonly #pool = new Pool();
  readonly #parts = new Map<string, Part>();

  /** The same bytes say the same to all readers, and to those who come back. */
  read(frame: Frame): Part {
    const id = `${frame.flags} ${frame.payload.toString('latin1')}`;
    const part = this.#parts.get(id) ?? readPart(frame, this.#pool);
    this.#parts.set(id, part);
    return part;
  }

  change(key: string, what: 'set' | 'remove' | 'identity', needs = 'none'): void {
    this.version += 1;
    const address = `10.0.0.${key.length}`;
    const change = delta(this.version, {
      services:
        what === 'set'
          ? [{ ...service(key, [`10.1.0.${this.version % 250}`]), address: needs }]
          : [],
      removedServices: what === 'remove' ? [key] : [],
      identities: what === 'identity' ? [identity(address, `pod-${this.version}`)] : [],
    });
    const frames = [...encodeParts(change, this.version, OPTIONS)];
    for (const one of change.services) this.services.set(one.key, one);
    for (const one of change.removedServices) this.services.delete(one);
    for (const one of change.identities) this.identities.set(one.address, one);
    if (this.version === 1) this.archive.reset(1, frames);
    else this.archive.append(this.version, frames, 0);
    for (const understanding of UNDERSTANDINGS) {
      const services = new Map(
        [...this.services].filter(([, each]) =>
          isUnderstood(OPTIONS.needsOf?.(each) ?? [], understanding),
        ),
      );
      this.texts.set(
        idOf(this.version, understanding),
        textOf({ services, identities: this.identities }),
      );
    }
  }
}

const UNDERSTANDINGS: readonly Understanding[] = [
  NOTHING,
  new Set(['port.tls']),
  new Set(['route.match']),
  new Set(['port.tls', 'route.match']),
];

function idOf(version: number, understanding: Understanding): string {
  return `${version} ${[...understanding].join()}`;
}

type Data = Pick<MeshState, 'services' | 'identities'>;

function textOf({ services, identities }: Data, write = written): string {
  const list = (values: ReadonlyMap<string, object>): string =>
    [...values]
      .map(([key, value]) => `${key} ${write(value)}`)
      .sort()
      .join('\n');
  return `${list(services)}\n\n${list(identities)}`;
}

const texts = new WeakMap<object, string>();

/** What stays through many versions is written once. */
function written(value: object): string {
  const text = texts.get(value) ?? JSON.stringify(value);
  texts.set(value, text);
  return text;
}

/** An agent that reads what a cursor gives, and checks each commit against the model. */
class Reader {
  readonly meshState = new MeshState();
  readonly told = new MeshState();
  version = 0;
  snapshots = 0;
  #cursor: Cursor;
  readonly #model: Model;
  readonly #understanding: Understanding;
  readonly #frames = new FrameReader(PAYLOAD_BYTES_MAX, (frame) => {
    if (frame.type === FRAME_TYPE.snapshot) {
      this.snapshots += 1;
      this.meshState.beginSnapshot();
    } else if (frame.type === FRAME_TYPE.part) {
      this.meshState.add(this.#model.read(frame));
    } else {
      this.#commit(frame.version, readCommit(frame));
    }
  });

  constructor(model: Model, understanding = NOTHING) {
    this.#model = model;
    this.#understanding = understanding;
    this.#cursor = new Cursor(model.archive, 0, understanding);
  }

  /** Nobody has changed what was read before. */
  checkAnew(): void {
    const { version } = this;
    const text = this.#model.texts.get(idOf(version, this.#understanding));
    for (const data of [this.meshState, this.told])
      assert.equal(textOf(data, JSON.stringify), text);
  }

  pull(): boolean {
    const frames = this.#cursor.next();
    for (const bytes of frames ?? []) assert.equal(this.#frames.push(bytes), null);
    return frames !== null;
  }

  reconnect(): void {
    this.meshState.abort();
    this.#cursor = new Cursor(this.#model.archive, this.version, this.#understanding);
  }

  #commit(version: number, commit: { readonly from: number; readonly parts: number }): void {
    if (commit.from !== 0) assert.equal(commit.from, this.version);
    const before = this.meshState.version;
    const change = this.meshState.commit(commit.parts);
    if (change !== null) {
      assert.equal(change.version, before + 1);
      this.told.add(partOf(change));
      this.told.commit(1);
    }
    this.version = version;
    assert.equal(textOf(this.meshState), this.#model.texts.get(idOf(version, this.#understanding)));
    assert.equal(textOf(this.told), textOf(this.meshState), 'deltas say everything');
  }
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('change' as const),
      key: fc.integer({ min: 1, max: 6 }),
      what: fc.constantFrom('set' as const, 'set' as const, 'remove' as const, 'identity' as const),
      needs: fc.constantFrom('none', 'none', 'one', 'both'),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('pull' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reconnect' as const) }) },
);

test('whatever agents miss, each commit is what they understand of the data at its version, and the end is the latest', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (steps) => {
      const model = new Model();
      model.change('shop/x', 'set');
      const readers = UNDERSTANDINGS.map((understanding) => new Reader(model, understanding));
      for (const one of steps) {
        if (one.do === 'change') {
          model.change(`shop/${'x'.repeat(one.key)}`, one.what, one.needs);
        } else if (one.do === 'pull') for (const reader of readers) reader.pull();
        else if (one.do === 'turn') await setImmediate();
        else for (const reader of readers) reader.reconnect();
      }
      for (const reader of readers) {
        while (reader.pull());
        assert.equal(reader.version, model.version);
        reader.checkAnew();
      }
      model.archive.close();
    }),
    { numRuns: 300 },
  );
});

test('a base is made anew in the background, and old changes are forgotten', async () => {
  const model = new Model();
  for (let i = 0; i < 50; i += 1) {
    model.change(`shop/web-${i % 3}`, 'set');
    while (model.archive.isCompacting) await setImmediate();
  }
  assert.ok(model.archive.base.version > 40);
  assert.equal(model.archive.after(30), undefined);
  assert.ok(model.archive.after(49));
  assert.ok(!model.archive.reaches(30));
  assert.ok(model.archive.reaches(50));
});

test('an agent that stops in the middle of a snapshot starts with a newer one', async () => {
  const model = new Model();
  model.change('shop/web', 'set');
  const reader = new Reader(model);
  reader.pull();
  for (let i = 0; i < 40; i += 1) {
    model.change('shop/web', 'set');
    while (model.archive.isCompacting) await setImmediate();
  }
  while (reader.pull());
  assert.equal(reader.version, 41);
  assert.equal(reader.snapshots, 2);
});

test('an agent that is few changes behind gets them as one', () => {
  const model = new Model();
  model.change('shop/a', 'set');
  const reader = new Reader(model);
  while (reader.pull());
  model.change('shop/b', 'set');
  model.change('shop/c', 'set');
  assert.ok(reader.pull());
  assert.equal(reader.version, 3);
  assert.equal(reader.snapshots, 1);
  assert.ok(!reader.pull());
});

test('an agent that has everything is told so', () => {
  const model = new Model();
  model.change('shop/a', 'set');
  const cursor = new Cursor(model.archive, 1, NOTHING);
  assert.equal(cursor.sentVersion, 0);
  const frames = cursor.next();
  assert.equal(frames?.length, 1);
  assert.equal(cursor.sentVersion, 1);
  assert.equal(cursor.next(), null);
});

test('an agent that says it is ahead gets a snapshot', () => {
  const model = new Model();
  model.change('shop/a', 'set');
  const first = new Cursor(model.archive, 9, NOTHING).next();
  assert.equal(first?.[0]?.[4], FRAME_TYPE.snapshot);
});

test('an agent goes on with its snapshot when a new base is made meanwhile', async () => {
  const model = new Model();
  model.change('shop/web', 'set');
  const reader = new Reader(model);
  reader.pull();
  const { base } = model.archive;
  for (let i = 0; i < 4; i += 1) model.change('shop/api', 'set');
  while (model.archive.isCompacting) await setImmediate();
  assert.notEqual(model.archive.base, base);
  while (reader.pull());
  assert.deepEqual([reader.version, reader.snapshots], [5, 1]);
});

test('a snapshot whose later part takes back what an earlier one said ends without it', () => {
  const meshState = new MeshState();
  const part = partOf(delta(1));
  meshState.add({ ...part, services: [service('shop/web'), service('shop/api')] });
  meshState.commit(1);
  meshState.beginSnapshot();
  meshState.add({ ...part, services: [service('shop/web'), service('shop/api')] });
  meshState.add({ ...part, services: [], removedServices: ['shop/web'] });
  assert.deepEqual(meshState.commit(2), delta(2, { removedServices: ['shop/web'] }));
  assert.deepEqual([...meshState.services.keys()], ['shop/api']);
});
