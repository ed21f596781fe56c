import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatagramSpace, reserveSpace } from './datagram-space.ts';
import { openKernel } from './kernel.ts';
import { IP_PKTINFO, IPPROTO_IP } from './kernel-interface.ts';
import { Region, STAGE_AT } from './region.ts';
import { AF_INET, portIn, putAddress } from './socket-address.ts';
import { marksOf, shareMarks } from './thread-marks.ts';

test('where a datagram does not say which address of ours it was sent to, that of the one before is not taken for it', (t) => {
  const kernel = openKernel(marksOf(shareMarks()));
  const { datagrams, memory } = kernel;
  const space = new DatagramSpace(kernel, reserveSpace(new Region(memory)));
  const [listener, caller] = [datagrams.socket(AF_INET), datagrams.socket(AF_INET)];
  t.after(() => [listener, caller].forEach((fd) => kernel.close(fd)));
  assert.equal(kernel.setOption(listener, IPPROTO_IP, IP_PKTINFO, 1), 0);
  assert.equal(kernel.bind(listener, putAddress(memory, '127.0.0.1', 0)), 0);
  assert.ok(kernel.localAddress(listener) >= 0);
  assert.equal(kernel.connect(caller, putAddress(memory, '127.0.0.1', portIn(memory))), 0);
  assert.equal(datagrams.send(caller, STAGE_AT, 1), 1);
  assert.equal(datagrams.receiveMany(listener), 1);
  space.readPeer(0, datagrams.controlBytes(0));
  assert.equal(space.peer.localAddress, '127.0.0.1');
  space.readPeer(0, 0);
  assert.equal(space.peer.address, '127.0.0.1');
  assert.equal(space.peer.localAddress, '');
});
