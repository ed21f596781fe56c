/** Tries every call for datagrams over loopback, before anything depends on it. */

import { DatagramSpace, reserveSpace } from './datagram-space.ts';
import { EAGAIN } from './errno.ts';
import {
  DATAGRAM_DATA,
  EPOLL_ADD,
  EPOLLIN,
  IP_PKTINFO,
  IP_RECVERR,
  IPPROTO_IP,
  type Kernel,
  SO_REUSEPORT,
  SOL_SOCKET,
} from './kernel-interface.ts';
import { READ_AT, Region, STAGE_AT } from './region.ts';
import { awaitEvent, check, expect, GENERATION } from './self-test.ts';
import { AF_INET, portIn, putAddress } from './socket-address.ts';

const HOST = '127.0.0.1';
const WORD = Buffer.from('self-test');

/** Returns why datagrams cannot go this way here, '' where they can. */
export function testDatagrams(kernel: Kernel): string {
  const open: number[] = [];
  try {
    tryAll(kernel, (fd, call) => {
      open.push(check(fd, call));
      return fd;
    });
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    for (const fd of open) kernel.close(fd);
  }
}

function tryAll(kernel: Kernel, opened: (fd: number, call: string) => number): void {
  const { datagrams, memory } = kernel;
  // Of the region's memory, as yet nobody's: what is asked for later takes the same.
  const space = new DatagramSpace(kernel, reserveSpace(new Region(memory)));
  const epoll = opened(kernel.createEpoll(), 'epoll_create1');
  const listener = opened(datagrams.socket(AF_INET), 'socket');
  check(kernel.setOption(listener, SOL_SOCKET, SO_REUSEPORT, 1), 'SO_REUSEPORT');
  check(kernel.setOption(listener, IPPROTO_IP, IP_PKTINFO, 1), 'IP_PKTINFO');
  check(kernel.bind(listener, putAddress(memory, HOST, 0)), 'bind');
  check(kernel.localAddress(listener), 'getsockname');
  const port = portIn(memory);
  expect(datagrams.receiveMany(listener), -EAGAIN, 'recvmmsg of nothing');
  const caller = opened(datagrams.socket(AF_INET), 'socket');
  check(kernel.setOption(caller, IPPROTO_IP, IP_RECVERR, 1), 'IP_RECVERR');
  check(kernel.connect(caller, putAddress(memory, HOST, port)), 'connect');
  check(kernel.control(epoll, EPOLL_ADD, listener, EPOLLIN, GENERATION), 'epoll_ctl');
  check(kernel.control(epoll, EPOLL_ADD, caller, EPOLLIN, GENERATION), 'epoll_ctl');

  WORD.copy(memory, STAGE_AT);
  expect(datagrams.send(caller, STAGE_AT, WORD.length), WORD.length, 'write of a datagram');
  expect(datagrams.send(caller, STAGE_AT, 0), 0, 'write of an empty datagram');
  awaitEvent(kernel, epoll, listener);
  expect(datagrams.receiveMany(listener), 2, 'recvmmsg');
  expect(datagrams.bytes(0), WORD.length, 'recvmmsg of a datagram');
  expect(datagrams.bytes(1), 0, 'recvmmsg of an empty datagram');
  if (WORD.compare(space.data[0] as Buffer, 0, WORD.length) !== 0)
    throw new Error('recvmmsg gave other bytes than were sent');
  space.readPeer(0, datagrams.controlBytes(0));
  const { peer } = space;
  if (peer.address !== HOST || peer.localAddress !== HOST)
    throw new Error('recvmmsg gave other addresses');
  check(datagrams.overflowed(listener), 'SO_MEMINFO');

  const at = space.answersAt;
  const sizes = {
    address: space.putAddress(at, peer, AF_INET),
    control: space.putLocal(at, peer, AF_INET),
  };
  WORD.copy(memory, at + DATAGRAM_DATA);
  datagrams.put(0, at, { ...sizes, data: WORD.length });
  datagrams.put(1, at, { ...sizes, data: 0 });
  expect(datagrams.sendMany(listener, 0, 2), 2, 'sendmmsg');
  awaitEvent(kernel, epoll, caller);
  expect(datagrams.receive(caller, READ_AT, 100), WORD.length, 'read of a datagram');
  if (WORD.compare(memory, READ_AT, READ_AT + WORD.length) !== 0)
    throw new Error('read gave other bytes than sendmmsg had sent');
  expect(datagrams.receive(caller, READ_AT, 100), 0, 'read of an empty datagram');
  expect(datagrams.receive(caller, READ_AT, 100), -EAGAIN, 'read of nothing');
  tryError(kernel, { epoll, caller }, space);
}

/** Nobody listens at the port of a socket that is not connected to us. */
function tryError(
  kernel: Kernel,
  { epoll, caller }: { readonly epoll: number; readonly caller: number },
  space: DatagramSpace,
): void {
  const { datagrams, memory } = kernel;
  const deaf = check(datagrams.socket(AF_INET), 'socket');
  const bound = kernel.bind(deaf, putAddress(memory, HOST, 0));
  const named = kernel.localAddress(deaf);
  const port = portIn(memory);
  kernel.close(deaf);
  check(bound, 'bind');
  check(named, 'getsockname');
  check(kernel.connect(caller, putAddress(memory, HOST, port)), 'connect');
  check(datagrams.send(caller, STAGE_AT, 1), 'write of a datagram');
  awaitEvent(kernel, epoll, caller);
  expect(datagrams.receiveErrors(caller), 1, 'recvmmsg of errors');
  const error = space.errorAt(0, datagrams.controlBytes(0), HOST);
  if (error?.code !== 'ECONNREFUSED') throw new Error('recvmmsg gave another error');
}
