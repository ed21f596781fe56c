// Stand-ins for the Pods of docs/tasks, one server on each address: node examples/tasks/server.mjs 127.1.10.1 127.1.10.2
import { createServer } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

const PORT = 9380;
const addresses = process.argv.slice(2);

/** A query makes one of them misbehave: `?fail=127.1.10.1` answers 503, `?reset=…` closes, `?slow=…` waits 3 s; `all` is all. */
async function answer(address, request, response) {
  const query = new URL(request.url ?? '/', 'http://stand-in').searchParams;
  const isMeant = (what) => query.get(what) === address || query.get(what) === 'all';
  if (isMeant('reset')) {
    request.socket.destroy();
    return;
  }
  if (isMeant('slow')) await wait(3_000);
  const status = isMeant('fail') ? 503 : 200;
  response.writeHead(status).end(`${status} from ${address}\n`);
}

const servers = addresses.map((address) =>
  createServer((request, response) => answer(address, request, response))
    .on('error', ({ code, message }) =>
      giveUp(
        code === 'EADDRINUSE'
          ? `Cannot serve ${address}:${PORT}: another process uses it, perhaps an earlier server like this one; end it first`
          : `Cannot serve ${address}:${PORT}: ${message}`,
      ),
    )
    .listen(PORT, address, () => process.stdout.write(`stand-in: serves ${address}:${PORT}\n`)),
);
if (servers.length === 0) giveUp('Give the addresses to serve, such as 127.1.10.1 127.1.10.2');

/** Says in one sentence what is wrong, and ends. */
function giveUp(sentence) {
  process.stderr.write(`stand-in: ${sentence}\n`);
  process.exitCode = 1;
  for (const server of servers) server.close();
}
