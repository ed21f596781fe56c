/** A peer of the proxy that reads slowly, and what the kernel has of what was sent to it. */

import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Service } from '../../src/model/service.ts';
import type { TestProxy } from './proxy.ts';
import { eventually, type Wire } from './wire.ts';

/**
 * Lets a paused reader take so many bytes, and waits until the proxy's end of the connection has seen it: on a busy machine the
 * acknowledgements come late. At worst what left was replaced to the byte, by bytes that are movement as well.
 */
export async function readSome(wire: Wire, bytes: number): Promise<void> {
  const queued = sendQueueOfPeer(wire);
  const goal = wire.bytesReceived + bytes;
  wire.socket.resume();
  await eventually(() => wire.bytesReceived >= goal, 'some bytes');
  wire.socket.pause();
  const isSeen = (): boolean => sendQueueOfPeer(wire) !== queued;
  await eventually(isSeen, 'acknowledgements', 10_000).catch(() => undefined);
}

/** Bytes that callers of a Service make the proxy hold. */
export function heldFor({ context }: TestProxy, { key }: Service): number {
  return [...context.room.guestsOf(key)].reduce((sum, { heldBytes }) => sum + heldBytes, 0);
}

/** Bytes that the other end has sent and this end has not acknowledged; both are on this machine. */
export function sendQueueOfPeer({ socket }: { readonly socket: Socket }): number {
  const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = socket;
  const ends = `${inHex(remoteAddress, remotePort)} ${inHex(localAddress, localPort)}`;
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n')) {
    const [, local, remote, , queues = ''] = line.trim().split(/\s+/);
    if (`${local} ${remote}` === ends) return Number.parseInt(queues.split(':')[0] ?? '', 16);
  }
  return -1;
}

/** As /proc/net/tcp has it: the address backwards, as a machine with little end first stores it. */
function inHex(address: string, port: number): string {
  const bytes = address.split('.').map(Number).toReversed();
  const hex = Buffer.from([...bytes, port >> 8, port & 255]).toString('hex');
  return `${hex.slice(0, 8)}:${hex.slice(8)}`.toUpperCase();
}
