/** The server of the interop cases of gRPC, with grpc-js. */

import { setTimeout as sleep } from 'node:timers/promises';

const INITIAL = 'x-grpc-test-echo-initial';
const TRAILING = 'x-grpc-test-echo-trailing-bin';

export async function serveInterop(grpc, { TestService, health }, host, port) {
  /** Sends back the metadata that a caller wants to see again; returns the part that comes last. */
  const echo = (call) => {
    const [initial] = call.metadata.get(INITIAL);
    const [trailing] = call.metadata.get(TRAILING);
    const [first, last] = [new grpc.Metadata(), new grpc.Metadata()];
    if (initial !== undefined) first.set(INITIAL, initial);
    if (trailing !== undefined) last.set(TRAILING, trailing);
    if (initial !== undefined) call.sendMetadata(first);
    return last;
  };
  const answer = (size) => ({ payload: { body: Buffer.alloc(size) } });
  const answerAll = async (call, { response_parameters: all }) => {
    for (const { size, interval_us: micros } of all) {
      if (micros > 0) await sleep(micros / 1_000);
      call.write(answer(size));
    }
  };
  const asked = ({ response_status: status }) => (status?.code ?? 0) !== 0;
  const refuse = (request, metadata) => {
    const { code, message: details } = request.response_status;
    return { code, details, metadata };
  };

  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
  server.addService(TestService.service, {
    EmptyCall: (_call, done) => done(null, {}),
    UnaryCall(call, done) {
      const last = echo(call);
      const { request } = call;
      if (asked(request)) done(refuse(request, last));
      else done(null, answer(request.response_size), last);
    },
    async StreamingOutputCall(call) {
      await answerAll(call, call.request);
      call.end();
    },
    StreamingInputCall(call, done) {
      let sum = 0;
      call.on('data', ({ payload }) => (sum += payload?.body.length ?? 0));
      call.on('end', () => done(null, { aggregated_payload_size: sum }));
    },
    FullDuplexCall(call) {
      const last = echo(call);
      // One after the other, whatever they wait for.
      let before = Promise.resolve();
      call.on('data', (request) => {
        before = before.then(() =>
          asked(request) ? call.emit('error', refuse(request, last)) : answerAll(call, request),
        );
      });
      call.on('end', () => {
        before = before.then(() => call.end(last));
      });
    },
    HalfDuplexCall(call) {
      const all = [];
      call.on('data', (request) => all.push(request));
      call.on('end', async () => {
        for (const request of all) await answerAll(call, request);
        call.end();
      });
    },
  });
  health.addToServer(server);
  await new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, grpc.ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
  // As a rolling update does it: GOAWAY, and what runs may finish.
  process.on('SIGTERM', () => server.tryShutdown(() => process.exit(0)));
}
