// Stands for Pods that answer DNS over UDP and TCP, for docs/tasks/udp.md: each answers every name with its own address.
//
//   npx node examples/tasks/dns.mjs 127.1.20.1 127.1.20.2

import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const PORT = 9353;
const HEAD_BYTES = 12;
const addresses = process.argv.slice(2);
const servers = [];

/** The answer to one query: its question again, and one record of type A. */
function answer(query, address) {
  let end = HEAD_BYTES;
  while (query[end] > 0) end += query[end] + 1;
  const question = query.subarray(HEAD_BYTES, end + 5);
  // The same id; a response, authoritative; one question, one answer, nothing else.
  const head = Buffer.from([query[0], query[1], 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
  // The name of the question; type A, class IN, no time to live, four bytes.
  const record = [
    0xc0,
    HEAD_BYTES,
    0,
    1,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    4,
    ...address.split('.').map(Number),
  ];
  return Buffer.concat([head, question, Buffer.from(record)]);
}

/** Says in one sentence what is wrong, and ends. */
function giveUp({ message }) {
  process.stderr.write(`stand-in: ${message}\n`);
  process.exitCode = 1;
  for (const server of servers.splice(0)) server.close();
}

for (const address of addresses) {
  const socket = createSocket('udp4');
  socket.on('error', giveUp);
  socket.on('message', (query, from) => {
    if (query.length > HEAD_BYTES) socket.send(answer(query, address), from.port, from.address);
  });
  // Over TCP each message has its length before it.
  const server = createServer((connection) => {
    connection.on('error', () => undefined);
    connection.on('data', (bytes) => {
      const message = answer(bytes.subarray(2), address);
      connection.write(Buffer.concat([Buffer.from([0, message.length]), message]));
    });
  });
  server.on('error', giveUp);
  servers.push(socket, server);
  socket.bind(PORT, address, () => {
    // Unless another one has given up.
    if (servers.length === 0) return;
    server.listen(PORT, address, () =>
      process.stdout.write(`stand-in: serves ${address}:${PORT} over UDP and TCP\n`),
    );
  });
}
if (addresses.length === 0) giveUp({ message: 'Give the addresses to serve, such as 127.1.20.1' });
