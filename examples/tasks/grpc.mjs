// Stands for Pods that speak gRPC, for docs/tasks/grpc.md and grpc-web.md: each answers every call with its own address.
//
//   npx node examples/tasks/grpc.mjs 127.1.10.1 127.1.10.2 127.1.10.3

import { createServer } from 'node:http2';

const PORT = 9380;
const addresses = process.argv.slice(2);
const servers = [];

/** One message of gRPC: not compressed, its length, and as protobuf one field of text. */
function message(text) {
  const field = Buffer.concat([Buffer.from([0x0a, text.length]), Buffer.from(text)]);
  return Buffer.concat([Buffer.from([0, 0, 0, 0, field.length]), field]);
}

/** A field `fail-at` of a call makes one of them answer UNAVAILABLE; `all` is all. */
function answer(address, stream, fields) {
  stream.on('error', () => undefined);
  stream.resume();
  const isToFail = [address, 'all'].includes(fields['fail-at']);
  const head = { ':status': 200, 'content-type': 'application/grpc' };
  if (isToFail) {
    stream.respond(
      { ...head, 'grpc-status': '14', 'grpc-message': `no, says ${address}` },
      { endStream: true },
    );
    return;
  }
  stream.on('end', () => {
    stream.respond(head, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(message(`hello from ${address}`));
  });
}

/** Says in one sentence what is wrong, and ends. */
function giveUp({ message: sentence }) {
  process.stderr.write(`stand-in: ${sentence}\n`);
  process.exitCode = 1;
  for (const server of servers.splice(0)) server.close();
}

for (const address of addresses) {
  const server = createServer()
    .on('error', giveUp)
    .on('sessionError', () => undefined)
    .on('stream', (stream, fields) => answer(address, stream, fields))
    .listen(PORT, address, () =>
      process.stdout.write(`stand-in: serves ${address}:${PORT} with gRPC\n`),
    );
  servers.push(server);
}
if (addresses.length === 0) giveUp({ message: 'Give the addresses to serve, such as 127.1.10.1' });
