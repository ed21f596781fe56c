/** The model's world without a kernel: everything happens when the script says so, and all of it can happen. */

import assert from 'node:assert/strict';
import type { Accepted, Target } from '../socket.ts';
import { EPOLLIN, EPOLLOUT, EPOLLRDHUP } from './kernel-interface.ts';
import { type ModelPeer, pattern, type World, Written } from './model-world.fixture.ts';
import { Peer, ScriptedKernel } from './scripted-kernel.fixture.ts';

const CALLER = '192.0.2.1';

export class ScriptedWorld implements World {
  readonly kernel = new ScriptedKernel();
  readonly faults = this.kernel.faults;
  readonly listenAt = { address: '192.0.2.2', port: 80 };
  readonly losesBehindUnread = false;
  readonly bytesMax = 3_000;
  isPatient = false;
  readonly #peers = new WeakMap<Peer, ScriptedPeer>();
  #dials = 0;

  get descriptors(): number {
    return this.kernel.descriptors;
  }

  get inPipes(): number {
    return this.kernel.inPipes;
  }

  target(): Target {
    return { address: '192.0.2.3', port: 80 };
  }

  dialled(): ModelPeer | null {
    const { dialled } = this.kernel;
    if (dialled.length === this.#dials) return null;
    this.#dials = dialled.length;
    return this.#of(dialled.at(-1) as Peer);
  }

  knock(): void {
    this.kernel.knock(new Peer());
  }

  peerOf({ remoteAddress, descriptor }: Accepted): ModelPeer {
    assert.equal(remoteAddress, CALLER);
    return this.#of(this.kernel.peerOf(descriptor));
  }

  clear(): void {
    this.kernel.dialled.length = 0;
    this.#dials = 0;
  }

  #of(peer: Peer): ScriptedPeer {
    let known = this.#peers.get(peer);
    if (known === undefined) this.#peers.set(peer, (known = new ScriptedPeer(this.kernel, peer)));
    return known;
  }
}

class ScriptedPeer implements ModelPeer {
  readonly #kernel: ScriptedKernel;
  readonly #peer: Peer;
  expects = new Written();
  #checked = 0;

  constructor(kernel: ScriptedKernel, peer: Peer) {
    this.#kernel = kernel;
    this.#peer = peer;
  }

  get isPending(): boolean {
    return this.#peer.standing === 'pending';
  }

  get isRefused(): boolean {
    return this.#peer.standing === 'refused';
  }

  get hasEnded(): boolean {
    return this.#peer.fin;
  }

  get isReset(): boolean {
    return this.#peer.isReset;
  }

  readonly isDone = true;

  get received(): number {
    const { outbound } = this.#peer;
    if (outbound.length > 0) {
      const data = Buffer.from(outbound);
      assert(this.expects.has(this.#checked, data, data.length), 'bytes in order');
      this.#checked += data.length;
      outbound.length = 0;
    }
    return this.#checked;
  }

  decide(isRefused: boolean): void {
    this.#peer.standing = isRefused ? 'refused' : 'open';
    this.#kernel.tell(this.#peer, EPOLLOUT);
  }

  send(sent: number, amount: number): number {
    for (let i = 0; i < amount; i++) this.#peer.inbound.push(pattern(sent + i));
    this.#kernel.tell(this.#peer, EPOLLIN);
    return amount;
  }

  take(amount: number): void {
    const wasFull = this.#peer.window === 0;
    this.#peer.window += amount;
    this.#kernel.tell(this.#peer, wasFull ? EPOLLOUT : 0);
  }

  end(): void {
    this.#peer.fin = true;
    this.#kernel.tell(this.#peer, EPOLLIN | EPOLLRDHUP);
  }

  reset(): void {
    this.#peer.isReset = true;
    this.#peer.reset = true;
    this.#kernel.tell(this.#peer, EPOLLIN | EPOLLRDHUP);
  }

  close(): void {
    // Nothing is held for it.
  }
}
