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

for (const address of addresses) {
  createServer((request, response) => answer(address, request, response)).listen(PORT, address);
}
