// A stand-in for a container: node examples/first/server.mjs 127.1.10.1 9380
import { createServer } from 'node:http';

const [host = '127.1.10.1', port = '9380'] = process.argv.slice(2);
createServer((_request, response) => response.end(`hello from ${host}\n`)).listen(
  Number(port),
  host,
);
