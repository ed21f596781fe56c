/** The client of the interop cases of gRPC, with grpc-js. */

import assert from 'node:assert/strict';

const INITIAL = 'x-grpc-test-echo-initial';
const TRAILING = 'x-grpc-test-echo-trailing-bin';
const LARGE_REQUEST = 271_828;
const LARGE_RESPONSE = 314_159;
const REQUESTS = [27_182, 8, 1_828, 45_904];
const RESPONSES = [31_415, 9, 2_653, 58_979];
const HUGE = 20_000_000;
const AT_ONCE = 100;
const SOAK = 20;
const SPECIAL = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n';

const payload = (size) => ({ body: Buffer.alloc(size) });
const asks = (size) => ({ response_parameters: [{ size }] });

/** Runs the cases, or the one of a name, and prints a line of JSON for each: its name, and `ok` or what was wrong. */
export async function callInterop(grpc, { TestService, UnimplementedService }, address, only) {
  const { status } = grpc;
  const connect = (Client, options = {}) =>
    new Client(address, grpc.credentials.createInsecure(), options);
  const client = connect(TestService);
  const zipping = connect(TestService, {
    'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip,
  });
  const unary = (request, { metadata = new grpc.Metadata(), by = client } = {}) =>
    new Promise((resolve) => {
      const heard = {};
      const call = by.UnaryCall(request, metadata, (error, answer) => {
        Object.assign(heard, { error, answer });
      });
      call.on('metadata', (first) => (heard.first = first));
      call.on('status', ({ code, details, metadata: last }) => {
        // The answer comes in the same turn.
        setImmediate(() => resolve({ ...heard, code, details, last }));
      });
    });
  const large = async (by = client, sizes = [LARGE_REQUEST, LARGE_RESPONSE]) => {
    const request = { response_size: sizes[1], payload: payload(sizes[0]) };
    const { code, details, answer } = await unary(request, { by });
    assert.equal(code, status.OK, details);
    assert.equal(answer.payload.body.length, sizes[1]);
  };
  /** All that comes of a stream: the sizes of its messages, and how it ends. */
  const collect = (call, onMessage = () => {}) =>
    new Promise((resolve) => {
      const sizes = [];
      let first = null;
      call.on('metadata', (metadata) => (first = metadata));
      call.on('data', (message) => {
        sizes.push(message.payload.body.length);
        onMessage(sizes.length);
      });
      // Its status says the same.
      call.on('error', () => {});
      call.on('status', ({ code, details, metadata: last }) =>
        resolve({ sizes, first, code, details, last }),
      );
    });
  const pingPong = async (by = client) => {
    const call = by.FullDuplexCall();
    const next = (i) => {
      if (i === REQUESTS.length) call.end();
      else call.write({ ...asks(RESPONSES[i]), payload: payload(REQUESTS[i]) });
    };
    const all = collect(call, next);
    next(0);
    const { code, details, sizes } = await all;
    assert.equal(code, status.OK, details);
    assert.deepEqual(sizes, RESPONSES);
  };
  const custom = () => {
    const metadata = new grpc.Metadata();
    metadata.set(INITIAL, 'test_initial_metadata_value');
    metadata.set(TRAILING, Buffer.from('0a0b0a0b0a0b', 'hex'));
    return metadata;
  };
  const isCustom = ({ first, last }) => {
    assert.deepEqual(first.get(INITIAL), ['test_initial_metadata_value']);
    const values = last.get(TRAILING).map((value) => value.toString('hex'));
    assert.deepEqual(values, ['0a0b0a0b0a0b']);
  };
  const unimplemented = (by) =>
    new Promise((resolve) => {
      by.UnimplementedCall({}, (error) => {
        resolve(assert.equal(error?.code, status.UNIMPLEMENTED, error?.details));
      });
    });

  const CASES = {
    empty_unary: () =>
      new Promise((resolve, reject) => {
        client.EmptyCall({}, (error, answer) => {
          if (error) reject(error);
          else resolve(assert.deepEqual({ ...answer }, {}));
        });
      }),
    large_unary: () => large(),
    client_streaming: () =>
      new Promise((resolve, reject) => {
        const call = client.StreamingInputCall((error, answer) => {
          if (error) reject(error);
          else resolve(assert.equal(answer.aggregated_payload_size, 74_922));
        });
        for (const size of REQUESTS) call.write({ payload: payload(size) });
        call.end();
      }),
    async server_streaming() {
      const request = { response_parameters: RESPONSES.map((size) => ({ size })) };
      const { code, details, sizes } = await collect(client.StreamingOutputCall(request));
      assert.equal(code, status.OK, details);
      assert.deepEqual(sizes, RESPONSES);
    },
    ping_pong: () => pingPong(),
    async half_duplex() {
      const call = client.HalfDuplexCall();
      const all = collect(call);
      for (const size of RESPONSES) call.write(asks(size));
      call.end();
      const { code, details, sizes } = await all;
      assert.equal(code, status.OK, details);
      assert.deepEqual(sizes, RESPONSES);
    },
    async empty_stream() {
      const call = client.FullDuplexCall();
      call.end();
      const { code, details, sizes } = await collect(call);
      assert.equal(code, status.OK, details);
      assert.deepEqual(sizes, []);
    },
    async custom_metadata() {
      const request = { response_size: LARGE_RESPONSE, payload: payload(LARGE_REQUEST) };
      const heard = await unary(request, { metadata: custom() });
      assert.equal(heard.code, status.OK, heard.details);
      isCustom(heard);
      const call = client.FullDuplexCall(custom());
      const all = collect(call, () => call.end());
      call.write({ ...asks(LARGE_RESPONSE), payload: payload(LARGE_REQUEST) });
      const streamed = await all;
      assert.equal(streamed.code, status.OK, streamed.details);
      isCustom(streamed);
    },
    async status_code_and_message() {
      const wanted = { code: status.UNKNOWN, message: 'test status message' };
      const call = client.FullDuplexCall();
      const all = collect(call);
      call.write({ response_status: wanted });
      call.end();
      for (const heard of [await unary({ response_status: wanted }), await all]) {
        const { code, details } = heard;
        assert.deepEqual({ code, message: details }, wanted);
      }
    },
    async special_status_message() {
      const wanted = { code: status.UNKNOWN, message: SPECIAL };
      const { code, details } = await unary({ response_status: wanted });
      assert.deepEqual({ code, message: details }, wanted);
    },
    unimplemented_method: () => unimplemented(client),
    unimplemented_service: () => unimplemented(connect(UnimplementedService)),
    cancel_after_begin: () =>
      new Promise((resolve) => {
        const call = client.StreamingInputCall((error) => {
          resolve(assert.equal(error?.code, status.CANCELLED, error?.details));
        });
        call.cancel();
      }),
    async cancel_after_first_response() {
      const call = client.FullDuplexCall();
      const all = collect(call, () => call.cancel());
      call.write({ ...asks(RESPONSES[0]), payload: payload(REQUESTS[0]) });
      const { code, details, sizes } = await all;
      assert.equal(code, status.CANCELLED, details);
      assert.deepEqual(sizes, [RESPONSES[0]]);
    },
    async timeout_on_sleeping_server() {
      const call = client.FullDuplexCall({ deadline: Date.now() + 1 });
      const all = collect(call);
      call.write({ payload: payload(REQUESTS[0]) });
      const { code, details } = await all;
      assert.equal(code, status.DEADLINE_EXCEEDED, details);
    },
    // A millisecond is over before anything left the client; this one is over at the server. Which of the two is first is chance: a
    // server may reset the stream, which its client takes for a cancellation.
    async timeout_that_the_server_sees() {
      const call = client.FullDuplexCall({ deadline: Date.now() + 200 });
      const all = collect(call);
      call.write({ ...asks(RESPONSES[0]), payload: payload(REQUESTS[0]) });
      const { code, details, sizes } = await all;
      assert.ok(code === status.DEADLINE_EXCEEDED || code === status.CANCELLED, details);
      assert.deepEqual(sizes, [RESPONSES[0]]);
    },
    huge_unary: () =>
      large(connect(TestService, { 'grpc.max_receive_message_length': -1 }), [HUGE, HUGE]),
    gzip_unary: () => large(zipping),
    gzip_ping_pong: () => pingPong(zipping),
    concurrent_large_unary: () => Promise.all(Array.from({ length: AT_ONCE }, () => large())),
    async rpc_soak() {
      for (let i = 0; i < SOAK; i++) await large();
    },
    async channel_soak() {
      for (let i = 0; i < SOAK; i++) {
        const by = connect(TestService);
        await large(by);
        by.close();
      }
    },
  };
  for (const [name, run] of Object.entries(CASES)) {
    if (only !== undefined && only !== name) continue;
    const said = await run().then(
      () => 'ok',
      (error) => String(error.stack),
    );
    process.stdout.write(`${JSON.stringify([name, said])}\n`);
  }
}
