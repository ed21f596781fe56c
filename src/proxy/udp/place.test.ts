import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePorts } from '../../../test/support/ports.ts';
import { freshAddress, TestProxy } from '../../../test/support/proxy.ts';
import { Peer } from '../net/peer.ts';
import { UdpThread } from './thread.ts';

test('a port that closes does not take the socket from the one that is about to listen there', async (t) => {
  const { context } = new TestProxy(t);
  const thread = new UdpThread(context);
  const [port = 0] = await freePorts(1);
  const at = { address: freshAddress(), port };
  const before = await thread.openPlace(at);
  const again = thread.openPlace(at);
  before.unclaim();
  const peer = new Peer();
  peer.setAddress('127.0.0.1');
  peer.port = 9;
  const place = await again;
  assert.equal(place.answer(peer, Buffer.from('a'), 1), true);
  place.unclaim();
  assert.equal(place.answer(peer, Buffer.from('a'), 1), false);
});

test('an answer is only said to be sent where there is a socket for it', async (t) => {
  const { context } = new TestProxy(t);
  const place = await new UdpThread(context).openPlace({ address: freshAddress(), port: 0 });
  const peer = new Peer();
  peer.setAddress('127.0.0.1');
  peer.port = 9;
  assert.equal(place.answer(peer, Buffer.from('a'), 1), true);
  place.close();
  assert.equal(place.answer(peer, Buffer.from('a'), 1), false);
});
