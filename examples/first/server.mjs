// A stand-in for a container: node examples/first/server.mjs 127.1.10.1 9380
import { createServer } from 'node:http';

const [host = '127.1.10.1', port = '9380'] = process.argv.slice(2);
const server = createServer((_request, response) => response.end(`hello from ${host}\n`));
server.on('error', ({ code, message }) => {
  const why =
    code === 'EADDRINUSE'
      ? 'another process uses it, perhaps an earlier server like this one; end it first'
      : message;
  process.stderr.write(`server: Cannot serve ${host}:${port}: ${why}\n`);
  process.exitCode = 1;
});
server.listen(Number(port), host, () => process.stdout.write(`server: serves ${host}:${port}\n`));
