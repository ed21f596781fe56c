import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../base/random.ts';
import { Peer } from './peer.ts';
import { PeerMap } from './peer-map.ts';

function peerAt(address: string, port: number, local = '192.0.2.1', scope = 0): Peer {
  const peer = new Peer();
  peer.setAddress(address);
  peer.setLocal(local);
  peer.port = port;
  peer.scope = scope;
  return peer;
}

test('addresses come back as they were given', () => {
  for (const address of ['192.0.2.7', '255.255.255.255', '::1', 'fe80::1', '2001:db8::a:b']) {
    const peer = peerAt(address, 65_535, address);
    const kept = peer.keep();
    peer.setAddress('192.0.2.99');
    peer.setLocal('::');
    assert.deepEqual([kept.address, kept.localAddress, kept.port], [address, address, 65_535]);
    assert.deepEqual([peer.isLocalKnown, peer.localAddress], [false, '']);
  }
  assert.equal(peerAt('::ffff:192.0.2.7', 1).address, '192.0.2.7');
  assert(peerAt('::ffff:192.0.2.7', 1).equals(peerAt('192.0.2.7', 1)));
});

test('a map of peers holds what a map by text does, whatever comes and goes', () => {
  const random = seededRandom(3);
  const map = new PeerMap<number>(random);
  const known = new Map<string, { readonly peer: Peer; readonly value: number }>();
  const pick = (count: number): number => Math.floor(random.next() * count);
  for (let i = 0; i < 60_000; i++) {
    const v6 = pick(2) === 1;
    const address = v6 ? `2001:db8::${pick(20).toString(16)}` : `198.51.100.${pick(20)}`;
    const local = v6 ? `::${pick(3) + 1}` : `192.0.2.${pick(3)}`;
    const [port, scope] = [pick(40), v6 ? pick(2) : 0];
    const peer = peerAt(address, port, local, scope);
    const key = `${address} ${port} ${scope} ${local}`;
    const before = known.get(key);
    assert.equal(map.get(peer), before?.value);
    if (pick(3) === 0) {
      assert.equal(map.delete(peer), before !== undefined);
      known.delete(key);
    } else {
      map.set(peer, i);
      known.set(key, { peer, value: i });
    }
    assert.equal(map.size, known.size);
  }
  assert(known.size > 2_000);
  for (const { peer, value } of known.values()) assert.equal(map.get(peer.keep()), value);
});

test('peers that differ in one number, whichever, fill no chain', () => {
  /** Of words that a caller can choose: numbers in a row, and bits that a weak hash would drop. */
  const series: Record<string, (i: number) => Peer> = {
    ports: (i) => peerAt('192.0.2.7', i),
    'low addresses': (i) => peerAt(`10.0.${i >> 8}.${i & 255}`, 53),
    'high addresses': (i) => peerAt(`${i >> 8}.${i & 255}.0.1`, 53),
    'IPv6 networks': (i) => peerAt(`2001:db8:${i.toString(16)}::1`, 53),
    'IPv6 hosts': (i) => peerAt(`2001:db8::${i.toString(16)}:1`, 53),
  };
  for (const [name, at] of Object.entries(series)) {
    const map = new PeerMap<number>(seededRandom(11));
    for (let i = 0; i < 16_384; i++) map.set(at(i), i);
    assert(map.longestChain < 32, `${name}: ${map.longestChain}`);
  }
});
