import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShadowFeed } from './shadow-feed.ts';
import { shadowName } from './names.ts';
import { read } from './read.ts';
import type { Damaged, Shadow } from './shadow.ts';

function shadow(service: string, resourceVersion: string, state = 'published'): Shadow | Damaged {
  const annotations = { 'maesh.dev/service': service, 'maesh.dev/state': state };
  const metadata = { name: shadowName(service), resourceVersion, annotations };
  return read({ metadata, spec: { ports: [{ port: 80, targetPort: 10_000 }] } }) ?? assert.fail();
}

function bed(): { readonly feed: ShadowFeed; readonly told: string[] } {
  const told: string[] = [];
  let version = 0;
  const nameOf = (name: string): string =>
    ['shop/a', 'shop/b'].find((service) => shadowName(service) === name) ?? name;
  const tell =
    (who: string) =>
    (name: string, value: Shadow | Damaged | null): void => {
      told.push(`${who} ${nameOf(name)} ${value === null ? 'gone' : value.kind}`);
    };
  const feed = new ShadowFeed({
    placer: {
      shadow: tell('placer'),
      listed: () => {
        version = 1;
        told.push('listed');
      },
      flush: () => version,
    },
    controller: { shadow: tell('controller'), compiled: () => told.push('begin') },
    progress: { observe: (at, placed) => told.push(`observe ${at} ${placed}`) },
    onChange: () => told.push('change'),
  });
  return { feed, told };
}

test('a list tells what is there, what is gone, and that it is complete, in this order', () => {
  const { feed, told } = bed();
  feed.flush();
  feed.set(shadow('shop/a', '7'));
  assert.deepEqual(told.splice(0), ['placer shop/a shadow', 'controller shop/a shadow', 'change']);
  feed.replace([shadow('shop/b', '9', 'odd')]);
  assert.deepEqual(told.splice(0), [
    'placer shop/a gone',
    'controller shop/a gone',
    'placer shop/b damaged',
    'controller shop/b damaged',
    'listed',
    'begin',
    'change',
  ]);
});

test('flush() notes the newest resource version that agents were told of', () => {
  const { feed, told } = bed();
  feed.replace([shadow('shop/a', '12'), shadow('shop/b', '9')]);
  told.length = 0;
  feed.flush();
  feed.delete({ namespace: 'maesh', name: shadowName('shop/b') });
  feed.flush();
  assert.deepEqual(told, [
    'observe 12 1',
    'placer shop/b gone',
    'controller shop/b gone',
    'change',
    'observe 12 1',
  ]);
});
