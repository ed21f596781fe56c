/** What one finished request is logged by. One object per thread, filled again for every logged request. */

const TARGET_BYTES = 2_048;

export class AccessRecord {
  /** Unix time at which the request head began, in milliseconds. */
  startWallMs = 0;
  /** Source address of the connection. */
  callerAddress = '';
  /** Address that the caller says its connection is for, by the PROXY protocol; '' when it says none. */
  originAddress = '';
  /** `namespace/pod` of the caller, '' when the address stands for nobody. */
  caller = '';
  /** `namespace/name` of the Service. */
  service = '';
  /** Number of the Service port. */
  port = 0;
  /** The five above as the format of the log writes them (`AccessFormat.origin`); null when nobody kept that. */
  origin: Uint8Array | null = null;
  method = '';
  /** The request target as it was on the wire: `target.length` bytes at most, the rest is cut. */
  readonly target = Buffer.alloc(TARGET_BYTES);
  targetLength = 0;
  /** The target was longer than what is kept. */
  targetCut = false;
  /** `HTTP/1.1`. */
  protocol = '';
  /** 0 when no response was sent. */
  status = 0;
  /** The name of the status of a call of gRPC, '' for other requests. */
  grpcStatus = '';
  /** A FailureReason, '' when the proxy itself ended nothing. */
  failure = '';
  /** The rule of HTTP that a request or response breaks, '' when none. */
  rule = '';
  requestBytes = 0;
  responseBytes = 0;
  durationMs = 0;
  /** Tries at endpoints, the first included; 0 when none was made. */
  tries = 0;
  /** `address:port` of the last try, '' when none was made. */
  endpoint = '';

  /** Copies the target out of a read buffer. */
  setTarget(from: Buffer, start: number, end: number): void {
    const length = Math.min(end - start, this.target.length);
    from.copy(this.target, 0, start, start + length);
    this.targetLength = length;
    this.targetCut = end - start > length;
  }
}
