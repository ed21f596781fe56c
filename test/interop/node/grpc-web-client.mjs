/** Calls of gRPC-Web by the libraries of browsers, of the service of the interop cases: what each gives to an application. */

import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('./interop.proto', import.meta.url));
const SERVICE = 'grpc.testing.TestService';
const INITIAL = 'x-grpc-test-echo-initial';
const TRAILING = 'x-grpc-test-echo-trailing-bin';
const SIZES = [31_415, 9, 2_653, 58_979];
const REQUEST_BYTES = 271_828;
const RESPONSE_BYTES = 314_159;
const SPECIAL = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n';

const size = ({ payload }) => payload?.body?.length ?? 0;
const large = { response_size: RESPONSE_BYTES, payload: { body: Buffer.alloc(REQUEST_BYTES) } };
const stream = { response_parameters: SIZES.map((each) => ({ size: each })) };
const slow = { response_parameters: [{ size: 1 }, { size: 2, interval_us: 5_000_000 }] };
const failing = (message) => ({ response_status: { code: 2, message } });

/** `ask` makes one call: what came of head, messages, trailers, and the code and message of its end. */
const CASES = {
  'empty call': (ask) => ask('EmptyCall', {}),
  'large call': (ask) => ask('UnaryCall', large),
  'stream of answers': (ask) => ask('StreamingOutputCall', stream),
  'stream without an answer': (ask) => ask('StreamingOutputCall', {}),
  metadata: (ask) =>
    ask(
      'UnaryCall',
      { response_size: 1 },
      { metadata: { [INITIAL]: 'first', [TRAILING]: 'q6ur' } },
    ),
  'status and message': (ask) => ask('UnaryCall', failing('test status message')),
  'special message': (ask) => ask('UnaryCall', failing(SPECIAL)),
  'method that is not there': (ask) => ask('UnimplementedCall', {}),
  deadline: (ask) => ask('StreamingOutputCall', slow, { timeoutMs: 500 }),
  'given up after the first answer': (ask) => ask('StreamingOutputCall', slow, { cancel: true }),
  'many at the same time': async (ask) => {
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => ask('UnaryCall', { response_size: i })),
    );
    return {
      sizes: all.flatMap(({ sizes }) => sizes),
      codes: [...new Set(all.map(({ code }) => code))],
    };
  },
};

export async function callWeb(name, origin, load) {
  const protoLoader = await load('@grpc/proto-loader');
  const methods = protoLoader.loadSync(FILE, { keepCase: true, defaults: true })[SERVICE];
  const make = name === 'connect-web' ? connectWeb : grpcWeb;
  const ask = await make({ origin, methods, load, isText: name === 'grpc-web-text' });
  for (const [title, run] of Object.entries(CASES))
    // Google's library streams in its text form only.
    if (name !== 'grpc-web-binary' || !STREAMS.has(title))
      console.log(JSON.stringify([title, await run(ask)]));
}

const STREAMS = new Set([
  'stream of answers',
  'stream without an answer',
  'deadline',
  'given up after the first answer',
]);

const camel = (name) => name[0].toLowerCase() + name.slice(1);

async function connectWeb({ origin, methods, load }) {
  const { create, createFileRegistry, fromBinary, fromJson } = await load('@bufbuild/protobuf');
  const { FileDescriptorProtoSchema, FileDescriptorSetSchema } =
    await load('@bufbuild/protobuf/wkt');
  const { createClient } = await load('@connectrpc/connect');
  const { createGrpcWebTransport } = await load('@connectrpc/connect-web');
  const { fileDescriptorProtos } = methods.EmptyCall.requestType;
  const file = fileDescriptorProtos.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  for (const each of file) nameTypes(each);
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
  const service = registry.getService(SERVICE);
  const page = { origin: 'https://app.example' };
  const transport = createGrpcWebTransport({
    baseUrl: origin,
    fetch: (url, init) => {
      const headers = new Headers(init.headers);
      for (const [field, value] of Object.entries(page)) headers.set(field, value);
      return fetch(url, { ...init, headers });
    },
  });
  const client = createClient(service, transport);
  return async (method, request, { metadata = {}, timeoutMs, cancel = false } = {}) => {
    const seen = { sizes: [], code: 0, message: '', first: null, last: null, allowed: null };
    const control = new AbortController();
    const note = (fields) => {
      seen.first ??= fields.get(INITIAL);
      seen.allowed ??= fields.get('access-control-allow-origin');
      seen.last ??= fields.get(TRAILING);
    };
    const options = {
      headers: metadata,
      signal: control.signal,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      onHeader: note,
      onTrailer: (fields) => (seen.last ??= fields.get(TRAILING)),
    };
    const { input } = service.method[camel(method)];
    const message = fromJson(input, JSON.parse(JSON.stringify(request, base64)));
    try {
      const result = client[camel(method)](message, options);
      if (methods[method].responseStream) {
        for await (const each of result) {
          seen.sizes.push(size(each));
          if (cancel) control.abort();
        }
      } else seen.sizes.push(size(await result));
    } catch (error) {
      seen.code = error.code;
      seen.message = error.rawMessage;
      note(error.metadata);
    }
    return seen;
  };
}

/** Whoever made the descriptors has left out the package of types that are in the same one. */
function nameTypes({ package: own, messageType, service }) {
  const whole = (type) => (type === '' || type.startsWith('.') ? type : `.${own}.${type}`);
  for (const { field } of messageType)
    for (const each of field) each.typeName = whole(each.typeName);
  for (const each of service.flatMap(({ method }) => method)) {
    each.inputType = whole(each.inputType);
    each.outputType = whole(each.outputType);
  }
}

/** Bytes as the JSON of protobuf has them. */
function base64(_, value) {
  return value?.type === 'Buffer' ? Buffer.from(value.data).toString('base64') : value;
}

async function grpcWeb({ origin, methods, load, isText }) {
  globalThis.XMLHttpRequest = await load('xhr2');
  const { GrpcWebClientBase, MethodDescriptor, MethodType } = await load('grpc-web');
  const client = new GrpcWebClientBase({ format: isText ? 'text' : 'binary' });
  return (method, request, { metadata = {}, timeoutMs, cancel = false } = {}) => {
    const { path, responseStream, requestSerialize, responseDeserialize } = methods[method];
    const kind = responseStream ? MethodType.SERVER_STREAMING : MethodType.UNARY;
    const write = (message) => new Uint8Array(requestSerialize(message));
    const read = (bytes) => responseDeserialize(Buffer.from(bytes));
    const descriptor = new MethodDescriptor(path, kind, Object, Object, write, read);
    const seen = { sizes: [], code: 0, message: '', first: null, last: null, allowed: null };
    const fields =
      timeoutMs === undefined
        ? metadata
        : { ...metadata, deadline: String(Date.now() + timeoutMs) };
    return new Promise((resolve) => {
      const call = responseStream
        ? client.serverStreaming(origin + path, request, fields, descriptor)
        : client.rpcCall(origin + path, request, fields, descriptor, (error, answer) => {
            if (error === null) seen.sizes.push(size(answer));
            else fail(error);
          });
      const fail = ({ code, message }) => {
        seen.code = code;
        seen.message = message;
        resolve(seen);
      };
      call.on('metadata', (got) => (seen.first ??= got[INITIAL] ?? null));
      call.on('status', ({ code, details, metadata: got }) => {
        seen.code = code;
        seen.message = details ?? '';
        seen.last ??= got?.[TRAILING] ?? null;
        // Behind a head that is the end comes nothing else.
        setImmediate(() => resolve(seen));
      });
      if (responseStream) {
        call.on('data', (answer) => {
          seen.sizes.push(size(answer));
          if (!cancel) return;
          call.cancel();
          resolve({ ...seen, code: 1 });
        });
        call.on('error', fail);
      }
      call.on('end', () => resolve(seen));
    });
  };
}
