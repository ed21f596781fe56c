/** A gRPC server and client of the interop tests. Messages are JSON: what gRPC does with HTTP/2 does not depend on them. */

const codec = {
  requestSerialize: (value) => Buffer.from(JSON.stringify(value)),
  requestDeserialize: (bytes) => JSON.parse(bytes.toString()),
  responseSerialize: (value) => Buffer.from(JSON.stringify(value)),
  responseDeserialize: (bytes) => JSON.parse(bytes.toString()),
};
const method = (name, requestStream, responseStream) => ({
  path: `/interop.Pages/${name}`,
  requestStream,
  responseStream,
  ...codec,
});
const SERVICE = {
  echo: method('Echo', false, false),
  fail: method('Fail', false, false),
  never: method('Never', false, false),
  cancelled: method('Cancelled', false, false),
  sum: method('Sum', true, false),
  count: method('Count', false, true),
  endless: method('Endless', false, true),
  chat: method('Chat', true, true),
};
const BINARY = Buffer.from([0, 255, 10, 13, 128]);
const LARGE = 'gRPC through the mesh. '.repeat(60_000);
const MESSAGES = Array.from({ length: 500 }, (_, i) => i + 1);

export function serve(grpc, host, port) {
  let cancelled = 0;
  const metadata = (entries) => {
    const made = new grpc.Metadata();
    for (const [key, value] of Object.entries(entries)) made.add(key, value);
    return made;
  };
  const server = new grpc.Server();
  server.addService(SERVICE, {
    echo(call, done) {
      const sent = call.metadata.get('x-sent');
      call.sendMetadata(metadata({ 'x-first': 'of the head', 'x-first-bin': BINARY }));
      done(
        null,
        { said: call.request, sent: sent.map(String) },
        metadata({ 'x-last': 'a trailer' }),
      );
    },
    fail(call, done) {
      const { code, details } = call.request;
      done({ code, details, metadata: metadata({ 'x-why': 'because', 'x-why-bin': BINARY }) });
    },
    never(call) {
      call.on('cancelled', () => cancelled++);
    },
    cancelled: (_call, done) => done(null, { count: cancelled }),
    sum(call, done) {
      let sum = 0;
      call.on('data', (value) => (sum += value)).on('end', () => done(null, sum));
    },
    count(call) {
      for (let i = 1; i <= call.request.upTo; i++) call.write(i);
      if (call.request.code === 0) call.end();
      else call.emit('error', { code: call.request.code, details: 'ended early' });
    },
    endless(call) {
      call.on('cancelled', () => cancelled++);
      call.write('first');
    },
    chat(call) {
      call.on('data', (value) => call.write(value * 2)).on('end', () => call.end());
    },
  });
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, grpc.ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
}

const bytes = (metadata, key) => metadata.get(key).map((value) => value.toString('hex'));
const told = (error) =>
  error === null
    ? 'ok'
    : { code: error.code, details: error.details, why: bytes(error.metadata, 'x-why-bin') };

/** Makes all calls, or the one of a name, and prints one line of JSON for each: its name, and what came of it. */
export async function callAll(grpc, address, only) {
  const Client = grpc.makeGenericClientConstructor(SERVICE, 'Pages');
  const connect = (options) => new Client(address, grpc.credentials.createInsecure(), options);
  const client = connect({});
  const unary = (name, value, options = {}, by = client) =>
    new Promise((resolve) => {
      const metadata = new grpc.Metadata();
      for (const one of ['one', 'two']) metadata.add('x-sent', one);
      const heard = {};
      const call = by[name](value, metadata, options, (error, answer) => {
        heard.error = told(error);
        heard.answer = answer;
      });
      call.on('metadata', (head) => {
        heard.first = [head.get('x-first'), bytes(head, 'x-first-bin')];
      });
      call.on('status', ({ code, metadata: trailers }) => {
        resolve({ ...heard, code, last: trailers.get('x-last') });
      });
    });
  /** Everything of a stream, and how it ended. */
  const collect = (call, onData = () => {}) =>
    new Promise((resolve) => {
      const got = [];
      let error = null;
      call.on('data', (value) => {
        got.push(value);
        onData(value, got.length);
      });
      call.on('error', (reason) => (error = reason));
      call.on('status', () => resolve({ got, ended: told(error) }));
    });
  const cancelled = async () => (await unary('cancelled', {})).answer.count;

  const CALLS = {
    'unary call': () => unary('echo', 'hello'),
    'unary call with a large message': async () => {
      const { answer } = await unary('echo', LARGE);
      return answer?.said === LARGE;
    },
    'unary call with compressed messages': async () => {
      const by = connect({ 'grpc.default_compression_algorithm': 2 });
      const { answer } = await unary('echo', LARGE, {}, by);
      return answer?.said === LARGE;
    },
    'unary calls at the same time': async () => {
      const all = await Promise.all(MESSAGES.map((i) => unary('echo', i)));
      return all.map(({ answer }) => answer?.said);
    },
    'client streaming': () =>
      new Promise((resolve) => {
        const call = client.sum((error, answer) => resolve({ error: told(error), answer }));
        for (const value of MESSAGES) call.write(value);
        call.end();
      }),
    'server streaming': () => collect(client.count({ upTo: 500, code: 0 })),
    'bidirectional streaming, each message an answer to the one before': () => {
      const call = client.chat();
      const all = collect(call, (value, count) => (count === 30 ? call.end() : call.write(value)));
      call.write(1);
      return all;
    },
    'error without a message': () => unary('fail', { code: 5, details: 'not there: ä, 100 %' }),
    'error after messages': () => collect(client.count({ upTo: 3, code: 10 })),
    'method that is not there': () =>
      new Promise((resolve) => {
        const { requestSerialize, responseDeserialize } = codec;
        client.makeUnaryRequest(
          '/interop.Pages/Missing',
          requestSerialize,
          responseDeserialize,
          0,
          (error) => resolve(error.code),
        );
      }),
    'deadline, which the server sees': async () => {
      const before = await cancelled();
      const { code } = await unary('never', {}, { deadline: Date.now() + 300 });
      while ((await cancelled()) === before);
      return code;
    },
    'cancelled call, which the server sees': async () => {
      const before = await cancelled();
      const call = client.endless({});
      const { got, ended } = await collect(call, () => call.cancel());
      while ((await cancelled()) === before);
      return { got, code: ended.code };
    },
  };
  for (const [name, call] of Object.entries(CALLS)) {
    if (only !== undefined && only !== name) continue;
    const result = await call();
    process.stdout.write(`${JSON.stringify([name, result])}\n`);
  }
}
