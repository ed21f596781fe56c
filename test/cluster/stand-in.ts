/** What `traefik/whoami` does, as far as the pages need it: says who answers, and what it was sent. */

import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '80' },
    cert: { type: 'string', default: '' },
    key: { type: 'string', default: '' },
  },
});

const answer: RequestListener = (request, response) => {
  const lines = [`Hostname: ${hostname()}`, `RemoteAddr: ${request.socket.remoteAddress}`];
  lines.push(`${request.method} ${request.url} HTTP/${request.httpVersion}`);
  for (let i = 0; i < request.rawHeaders.length; i += 2)
    lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
  response.end(`${lines.join('\n')}\n\n`);
};

const server =
  values.cert === ''
    ? createServer(answer)
    : createTlsServer({ cert: readFileSync(values.cert), key: readFileSync(values.key) }, answer);
server.listen(Number(values.port), '::');
process.on('SIGTERM', () => process.exit());
