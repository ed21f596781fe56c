/**
 * A tunnel that knows where the frames of a WebSocket end, so that it can be closed politely: with a close frame to both sides,
 * each between two frames (RFC 6455 §5.5.1, §7.4.1). Heads of frames are looked at; long payloads go by unseen.
 */

import type { Random } from '../../base/random.ts';
import type { FailureReason } from '../../model/failure.ts';
import type { Socket, SocketError } from '../net/socket.ts';
import { Tunnel } from '../net/tunnel.ts';
import { FrameTracker } from './websocket-frames.ts';

/** Both sides are told to go, and have this long to say goodbye. */
export const FAREWELL_MS = 5_000;
/** A final close frame of two bytes, which are 1001: going away. */
const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9]);
const MASKED = 0x80;
const MASK_BYTES = 4;

/** What goes in one direction. */
class Lane {
  readonly tracker = new FrameTracker();
  /** Nothing passes any more: a close frame of ours was the last, or the sender has ended. */
  said = false;

  /** How far what came may pass; with `stops`, only to the end of the frame that began. */
  pass(data: Buffer | null, start: number, end: number, stops: boolean): number {
    if (data === null) {
      this.tracker.skip(end - start);
      return end;
    }
    if (this.said) return start;
    return this.tracker.pass(data, start, end, stops);
  }

  /** True once: now nothing may pass any more. */
  takeTurn(): boolean {
    if (this.said || !this.tracker.isBetween) return false;
    this.said = true;
    return true;
  }
}

export class WebSocketTunnel extends Tunnel {
  readonly #toCaller = new Lane();
  readonly #toEndpoint = new Lane();
  /** Both sides are told to go, each as soon as the frame that began has gone by. */
  #leaving = false;
  /** One of them was about to go by then: they part by themselves. */
  #parting = false;
  /** When it has stood for as long as it may, whatever else is due before. */
  readonly #lifetimeMs = this.dueAtMs;
  /** Why it ends then: a drain that was polite is no failure. */
  #reason: FailureReason | '' = 'tunnel_lifetime';

  override onFirstBytes(data: Buffer): void {
    this.#toCaller.tracker.pass(data, 0, data.length, false);
  }

  /** Not all at once: their callers come back elsewhere. */
  override leave(): void {
    if (this.#leaving) return;
    const { random, wheel, farewellMs } = this.context;
    this.#reason = '';
    this.dueAt(Math.min(this.dueAtMs, wheel.nowMs + random.next() * farewellMs));
  }

  protected override onDue(nowMs: number): void {
    if (!this.#leaving) return this.#sayGoodbye(nowMs);
    if (this.#isSaid || this.#parting) this.close(this.#reason);
    else this.cut(this.#reason === '' ? 'tunnel_lifetime' : this.#reason);
  }

  override part(nowMs: number): void {
    this.#reason = 'endpoint_removed';
    this.#sayGoodbye(nowMs);
  }

  #sayGoodbye(nowMs: number): void {
    this.#leaving = true;
    this.#parting = this.#toCaller.tracker.closed || this.#toEndpoint.tracker.closed;
    // What is in the middle of a frame during a drain has until its end, or that of the tunnel.
    const isPatient = this.#reason === '' && !this.#parting;
    this.dueAt(Math.max(isPatient ? this.#lifetimeMs : 0, nowMs + FAREWELL_MS));
    if (!this.#parting) this.#say();
  }

  get #isSaid(): boolean {
    return this.#toCaller.said && this.#toEndpoint.said;
  }

  /** Says what can be said now: where no frame is under way. */
  #say(): void {
    const { caller, endpoint } = this.ends;
    const wasSaid = this.#isSaid;
    if (this.#toCaller.takeTurn()) caller.write(GOING_AWAY, 0, GOING_AWAY.length);
    if (this.#toEndpoint.takeTurn()) {
      const frame = masked(GOING_AWAY, this.context.random);
      endpoint.write(frame, 0, frame.length);
    }
    if (this.#isSaid && !wasSaid) this.dueAt(this.context.wheel.nowMs + FAREWELL_MS);
    this.#endIfOver();
  }

  /** Both have said goodbye, too: nobody waits for anything. */
  #endIfOver(): void {
    const endpointIsDone = this.endpointEnded || this.#toCaller.tracker.closed;
    const callerIsDone = this.callerEnded || this.#toEndpoint.tracker.closed;
    if (this.#isSaid && endpointIsDone && callerIsDone) this.close(this.#reason);
  }

  /** What comes passes only to the end of the frame that began. */
  get #stops(): boolean {
    return this.#leaving && !this.#parting;
  }

  override onCallerData(data: Buffer | null, start: number, end: number): void {
    const lane = this.#toEndpoint;
    const to = lane.pass(data, start, end, this.#stops);
    if (to > start) super.onCallerData(data, start, to);
    if (this.#stops) this.#goOn(lane, data, to, end);
    this.#splice(lane, this.ends.caller.socket, this.ends.endpoint.socket);
  }

  override onEndpointData(data: Buffer | null, start: number, end: number): void {
    const lane = this.#toCaller;
    const to = lane.pass(data, start, end, this.#stops);
    if (to > start) super.onEndpointData(data, start, to);
    if (this.#stops) this.#goOn(lane, data, to, end);
    this.#splice(lane, this.ends.endpoint.socket, this.ends.caller.socket);
  }

  /** The frame that was under way may have gone by. What stands behind it is dropped, but for a look at how it ends. */
  #goOn(lane: Lane, data: Buffer | null, from: number, end: number): void {
    this.#say();
    if (data === null || from === end) return;
    lane.tracker.pass(data, from, end, false);
    this.#endIfOver();
  }

  /** The rest of a long frame goes to the other side by itself. */
  #splice(lane: Lane, from: Socket | null, to: Socket | null): void {
    const { left } = lane.tracker;
    if (left < this.context.spliceBytes || lane.said || from === null || to === null) return;
    from.spliceTo(to, left);
  }

  override onCallerEnd(): void {
    super.onCallerEnd();
    this.#onEnd(this.#toEndpoint);
  }

  override onEndpointEnd(): void {
    super.onEndpointEnd();
    this.#onEnd(this.#toCaller);
  }

  #onEnd(lane: Lane): void {
    lane.said = true;
    if (this.#stops) this.#say();
  }

  /** Both have said goodbye: however the connection ends then, nothing is missing. */
  get #hasParted(): boolean {
    const there = this.#toCaller.tracker;
    const back = this.#toEndpoint.tracker;
    return there.closed && there.isBetween && back.closed && back.isBetween;
  }

  override onCallerClosed(error: SocketError | null): void {
    super.onCallerClosed(this.#hasParted ? null : error);
  }

  override onEndpointClosed(error: SocketError | null): void {
    super.onEndpointClosed(this.#hasParted ? null : error);
  }

  override close(failure: FailureReason | '' = this.#leaving ? this.#reason : ''): void {
    super.close(failure);
  }
}

/** A frame of less than 126 bytes as a client must send it: RFC 6455 §5.3. */
function masked(frame: Buffer, random: Random): Buffer {
  const out = Buffer.alloc(frame.length + MASK_BYTES);
  out[0] = frame[0] as number;
  out[1] = MASKED | (frame[1] as number);
  for (let i = 0; i < MASK_BYTES; i++) out[2 + i] = random.next() * 256;
  for (let i = 2; i < frame.length; i++)
    out[i + MASK_BYTES] = (frame[i] as number) ^ (out[2 + ((i - 2) % MASK_BYTES)] as number);
  return out;
}
