/** One active check of one endpoint, on a connection of its own that nobody else uses. It says once what it found. */

import type { CheckOutcome, CheckResult } from '../../model/health-check.ts';
import { SERVING } from '../../model/health-check.ts';
import type { HealthCheckPolicy } from '../../model/policy.ts';
import { FIELD_STRIDE, type Head } from '../head/head.ts';
import { isNamed } from '../head/named.ts';
import type { EndpointStream, EndpointUser } from '../http/stream.ts';
import { Defect } from '../net/copy-whole.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import { isLocalCause } from '../net/local-cause.ts';
import type { DialOwner, Socket, SocketError } from '../net/socket.ts';
import { servingStatus } from './grpc-health.ts';
import { isGood } from './question.ts';

/** Of a body of HTTP no more is read: its status is good or not. */
const BODY_BYTES_MAX = 65_536;
/** The answer of a health service has 7 bytes. */
const GRPC_BYTES_MAX = 1_024;
/** A deadline that is seen so late says that this thread was busy: what came meanwhile is still to be read. */
const LATE_MS = 200;
const GRACE_MS = 200;
const GRPC_STATUS = 'grpc-status';

/** Who makes checks. */
export interface ProbeOwner {
  arm(probe: Expiring): void;
  disarm(probe: Expiring): void;
  onDefect(error: unknown): void;
}

abstract class Probe implements Expiring {
  deadlineMs: number;
  wheelTick = 0;
  wheelIndex = 0;
  protected readonly owner: ProbeOwner;
  readonly #untilMs: number;
  readonly #onDone: (outcome: CheckOutcome | null) => void;
  #isLate = false;
  #isDone = false;

  /** `onDone` is called once, later; with null when it was cut. */
  constructor(owner: ProbeOwner, untilMs: number, onDone: (outcome: CheckOutcome | null) => void) {
    this.owner = owner;
    this.deadlineMs = untilMs;
    this.#untilMs = untilMs;
    this.#onDone = onDone;
    owner.arm(this);
  }

  /** Gives it up without a result. */
  cut(): void {
    this.finish(null);
  }

  protected end(result: CheckResult, detail = 0): void {
    this.finish({ result, detail });
  }

  protected lose(error: SocketError | null): void {
    this.end(isLocalCause(error) ? 'not_made' : 'connect_failed');
  }

  protected finish(outcome: CheckOutcome | null): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.owner.disarm(this);
    this.letGo();
    this.#onDone(outcome);
  }

  onDeadline(nowMs: number): void {
    if (!this.#isLate && nowMs - this.#untilMs > LATE_MS) {
      this.#isLate = true;
      this.deadlineMs = nowMs + GRACE_MS;
      return this.owner.arm(this);
    }
    this.end('timed_out');
  }

  onDefect(error: unknown): void {
    this.owner.onDefect(error);
    this.cut();
  }

  /** Closes the connection. */
  protected abstract letGo(): void;
}

/** Of HTTP and gRPC, in either version: what is asked for is a whole answer. */
export class RequestProbe extends Probe implements EndpointUser {
  readonly responseSocket = null;
  readonly #policy: HealthCheckPolicy;
  #stream: EndpointStream | null = null;
  #status = 0;
  /** Of gRPC, where the answer has said it; -1 before. */
  #grpcStatus = -1;
  #body: Buffer[] = [];
  #bodyBytes = 0;

  constructor(
    owner: ProbeOwner,
    policy: HealthCheckPolicy,
    untilMs: number,
    onDone: (outcome: CheckOutcome | null) => void,
  ) {
    super(owner, untilMs, onDone);
    this.#policy = policy;
  }

  /** Sends the request on a stream that works for this probe. `send` writes its head. */
  begin(stream: EndpointStream, body: Buffer, send: () => void): void {
    this.#stream = stream;
    send();
    if (body.length > 0) stream.sendBody(body, 0, body.length);
    stream.sendEnd(null);
    stream.flush();
  }

  protected override letGo(): void {
    const stream = this.#stream;
    this.#stream = null;
    stream?.close();
  }

  get #isGrpc(): boolean {
    return this.#policy.kind === 'grpc';
  }

  onResponseHead(data: Buffer, head: Head): void {
    this.#status = head.status;
    const isGood200 = this.#isGrpc && head.status === 200;
    if (isGood200) this.#grpcStatus = grpcStatusIn(data, head);
    else if (this.#isGrpc || !isGood(head.status, this.#policy.statuses))
      this.end('bad_status', head.status);
  }

  onResponseBody(data: Buffer | null, start: number, end: number): void {
    this.#bodyBytes += end - start;
    if (!this.#isGrpc) {
      if (this.#bodyBytes > BODY_BYTES_MAX) this.end('passed', this.#status);
    } else if (this.#bodyBytes > GRPC_BYTES_MAX || data === null) this.end('bad_answer');
    else this.#body.push(Buffer.from(data.subarray(start, end)));
  }

  onResponseEnd(trailers: Buffer | null): void {
    if (!this.#isGrpc) return this.end('passed', this.#status);
    const code = trailers === null ? this.#grpcStatus : grpcStatusOf(trailers, this.#grpcStatus);
    if (code < 0) return this.end('bad_answer');
    if (code > 0) return this.end('grpc_failed', code);
    const serving = servingStatus(Buffer.concat(this.#body));
    if (serving === null) return this.end('bad_answer');
    if (serving === SERVING) return this.end('passed');
    this.end('not_serving', serving);
  }

  onSwitch(): void {
    this.end('bad_status', 101);
  }

  onBadHead(): void {
    this.end('bad_answer');
  }

  onBadBody(): void {
    this.end('bad_answer');
  }

  onEndpointClosed(error: SocketError | null): void {
    this.lose(error);
  }

  onHeadWanted(): void {
    throw new Defect('a check is no upgrade');
  }

  onConnected(): void {
    // The time limit covers all of it.
  }

  onResponseActivity(): void {
    // As above: who sends slowly is not better than who sends nothing.
  }

  onInterim(): void {
    // The answer is still to come.
  }

  onResponseRead(): void {
    // It was dropped, or kept, as it came.
  }

  onEndpointDrain(): void {
    // All was handed over at once.
  }

  onEndpointDeaf(): void {
    // Its answer may still come, else the end of the connection does.
  }
}

/** A connection that stands is all that is asked for. Nothing is sent but the greeting that the endpoint waits for before all else. */
export class ConnectProbe extends Probe implements DialOwner {
  #socket: Socket | null = null;
  #greeting: Uint8Array | null = null;

  begin(socket: Socket, greeting: Uint8Array | null): void {
    this.#socket = socket;
    this.#greeting = greeting;
  }

  protected override letGo(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.destroy();
  }

  onConnect(): void {
    const greeting = this.#greeting;
    if (greeting !== null) this.#socket?.write(Buffer.from(greeting), 0, greeting.length);
    this.end('passed');
  }

  onClose(error: SocketError | null): void {
    this.lose(error);
  }

  onData(): void {
    // Servers that speak first do; it is not for us.
  }

  onSpliced(): void {
    // Nothing is.
  }

  onEnd(): void {
    // It did stand.
  }

  onDrain(): void {
    // Nothing was written.
  }

  onWriteFailed(): void {
    // As above.
  }
}

/** Of an answer that ends with its head; -1 for one that does not say it. */
function grpcStatusIn(data: Buffer, { fields, count }: Head): number {
  for (let at = 0; at < count * FIELD_STRIDE; at += FIELD_STRIDE) {
    const [, nameStart, nameEnd, start, end] = fields.subarray(
      at,
      at + FIELD_STRIDE,
    ) as unknown as [number, number, number, number, number];
    if (isNamed(data, nameStart, nameEnd, GRPC_STATUS))
      return codeOf(data.toString('latin1', start, end));
  }
  return -1;
}

/** Of trailers, each line `name: value`. */
function grpcStatusOf(trailers: Buffer, fallback: number): number {
  for (const line of trailers.toString('latin1').split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon >= 0 && line.slice(0, colon).trim().toLowerCase() === GRPC_STATUS)
      return codeOf(line.slice(colon + 1).trim());
  }
  return fallback;
}

function codeOf(text: string): number {
  return /^\d{1,3}$/.test(text) ? Number(text) : -1;
}
