/** Both ends of datagrams for tests: what they were told, and when it is enough. */

import type { DatagramListener, DatagramListenOwner, DatagramOwner } from './datagram.ts';
import type { SocketError } from './ends.ts';
import type { Peer } from './peer.ts';

class Told {
  readonly told: string[] = [];
  #wanted = 0;
  #what = '';
  #resolve = (): void => undefined;

  /** Resolves when it was told what begins so, as often as that. */
  until(what: string, times = 1): Promise<void> {
    this.#what = what;
    this.#wanted = times;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resolve = resolve;
    this.#look();
    return promise;
  }

  tell(what: string): void {
    this.told.push(what);
    this.#look();
  }

  #look(): void {
    const count = this.told.filter((each) => each.startsWith(this.#what)).length;
    if (this.#wanted > 0 && count >= this.#wanted) this.#resolve();
  }
}

/** Of an endpoint's side. */
export class Near extends Told implements DatagramOwner {
  readonly got: Buffer[] = [];

  onDatagram(data: Buffer, length: number): void {
    this.got.push(Buffer.from(data.subarray(0, length)));
    this.tell(`datagram ${length}`);
  }

  onError({ code }: SocketError): void {
    this.tell(`error ${code}`);
  }

  onFailed({ code }: SocketError): void {
    this.tell(`failed ${code}`);
  }

  onDefect(error: unknown): void {
    this.tell(`defect ${String(error)}`);
  }
}

/** Sends each datagram back. */
export class Echo extends Told implements DatagramListenOwner {
  listener: DatagramListener | null = null;
  readonly peers: Peer[] = [];

  onDatagram(data: Buffer, length: number, peer: Peer): void {
    this.peers.push(peer.keep());
    this.listener?.send(peer, data, 0, length);
    this.tell(`datagram ${length}`);
  }

  onError({ code }: SocketError): void {
    this.tell(`error ${code}`);
  }

  onDefect(error: unknown): void {
    this.tell(`defect ${String(error)}`);
  }
}
