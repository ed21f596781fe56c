/** Our reading of connections against that of `node:http`: every disagreement must be listed in docs/decisions/http1-strictness.md. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { duplexPair } from 'node:stream';
import { after, describe, it } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { readStream, type SeenRequest, type SeenStream } from '../support/http1.ts';
import { connection, RARE } from './http1-cases.ts';
import { Disagreements } from './http1-listed.ts';

const CASES = 24_000;
const AT_ONCE = 64;

interface NodeRequest {
  readonly method: string;
  readonly target: string;
  readonly fields: [string, string][];
  body: string;
  trailers: string;
  complete: boolean;
}

interface NodeStream {
  readonly requests: NodeRequest[];
  /** `ok`, or the code of the error. */
  error: string;
  closed: boolean;
}

function pairs(raw: readonly string[]): [string, string][] {
  return raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1]!] as [string, string]] : []));
}

/** A `node:http` server that records what it takes for requests, one record per connection. */
function recordingServer(): {
  server: http.Server;
  read: (bytes: Buffer) => Promise<NodeStream>;
} {
  const records = new Map<unknown, NodeStream>();
  const server = http.createServer({
    insecureHTTPParser: false,
    maxHeaderSize: 16_384,
    keepAliveTimeout: 0,
    requestTimeout: 0,
  });
  const take = (message: http.IncomingMessage, answer: http.ServerResponse): void => {
    const record = records.get(message.socket)!;
    // What follows a request that was refused is no part of what node takes.
    if (record.error !== '') return;
    const seen: NodeRequest = {
      method: message.method!,
      target: message.url!,
      fields: pairs(message.rawHeaders),
      body: '',
      trailers: '',
      complete: false,
    };
    record.requests.push(seen);
    message.setEncoding('latin1');
    message.on('data', (text: string) => {
      seen.body += text;
    });
    message.on('end', () => {
      seen.trailers = pairs(message.rawTrailers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('');
      seen.complete = true;
      answer.end();
    });
    message.on('error', () => answer.destroy());
  };
  server.on('request', take);
  server.on('checkContinue', take);
  server.on('checkExpectation', (message, answer) => {
    records.get(message.socket)!.error = 'expectation';
    answer.destroy();
  });
  server.on('connect', (_message, socket) => {
    records.get(socket)!.error = 'connect';
    socket.destroy();
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const record = records.get(socket)!;
    if (record.error === '') record.error = error.code ?? error.message;
    // Requests before the error still have their bodies to deliver.
    setImmediate(() => socket.destroy());
  });
  return {
    server,
    read: (bytes) => {
      const [ours, theirs] = duplexPair();
      const record: NodeStream = { requests: [], error: '', closed: false };
      records.set(theirs, record);
      return new Promise((resolve) => {
        let answer = '';
        ours.setEncoding('latin1');
        ours.on('data', (text: string) => {
          answer += text;
        });
        let done = false;
        const finish = (): void => {
          if (done) return;
          done = true;
          records.delete(theirs);
          ours.destroy();
          // A request that node itself refuses after the head (no Host, say) has no event, only an answer.
          const status = /^HTTP\/1\.1 (4\d\d|501|505) /mu.exec(answer);
          if (record.error === '' && status !== null) record.error = `status ${status[1]!}`;
          resolve(record);
        };
        theirs.on('close', finish);
        ours.on('close', finish);
        ours.on('end', finish);
        ours.on('error', finish);
        theirs.on('error', finish);
        server.emit('connection', theirs);
        ours.end(bytes);
      });
    },
  };
}

/** Names the disagreement, or '' when both read the same. */
function disagreement(ours: SeenStream, node: NodeStream): string {
  const complete = node.requests.filter((request) => request.complete);
  for (const [i, theirs] of complete.slice(0, ours.requests.length).entries()) {
    const part = difference(ours.requests[i]!, theirs);
    if (part !== '') return `differs: ${part}`;
  }
  const weRefuse = ours.outcome === 'refused';
  const error = WAITING.has(node.error) ? '' : node.error;
  const accepted = error === '' ? node.requests.length : complete.length;
  if (accepted > ours.requests.length && weRefuse) return `we refuse: ${ours.rule}`;
  if (complete.length > ours.requests.length) return `node goes on when we are ${ours.outcome}`;
  if (complete.length < ours.requests.length)
    return `node refuses: ${error === '' ? 'silently' : error}`;
  if (error === '' || weRefuse || ours.outcome === 'closed') return '';
  return ours.outcome === 'incomplete' ? `node refuses sooner: ${error}` : `node refuses: ${error}`;
}

/** Codes that say only that the connection ended inside a message. */
const WAITING = new Set(['HPE_INVALID_EOF_STATE', 'ECONNRESET']);

/** What of a target must not leave raw, percent-encoded: `encodeURI` of the URL standard's sets, byte by byte. */
function encoded(target: string): string {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  const escape = (raw: string): string =>
    `%${raw.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  return (
    path.replace(/["<>{}\\`\x80-\xff]/g, escape) +
    target.slice(path.length).replace(/["<>\x80-\xff]/g, escape)
  );
}

function difference(ours: SeenRequest, theirs: NodeRequest): string {
  if (ours.method !== theirs.method) return 'method';
  const target = ours.absolute
    ? theirs.target.replace(/^http:\/\/[^/?]*(?=([/?]?))/iu, (_, next) => (next === '/' ? '' : '/'))
    : theirs.target;
  if (ours.target !== encoded(target)) return 'target';
  if (JSON.stringify(ours.fields) !== JSON.stringify(theirs.fields)) return 'fields';
  if (ours.body !== theirs.body) return 'body';
  return ours.trailers === theirs.trailers ? '' : 'trailers';
}

describe('our reading of a connection against node:http', () => {
  const { server, read } = recordingServer();
  after(() => {
    server.close();
  });

  it(`agrees on ${CASES} generated and mutated connections, but for what is listed`, async () => {
    const random = seededRandom(20_261_122);
    const disagreements = new Disagreements();
    let agreed = 0;
    let requests = 0;
    for (let done = 0; done < CASES; done += AT_ONCE) {
      const batch = Array.from({ length: AT_ONCE }, () => connection(random));
      if (done === 0) batch.push(...RARE);
      const readings = await Promise.all(batch.map((bytes) => read(bytes)));
      for (const [i, bytes] of batch.entries()) {
        const ours = readStream(bytes);
        requests += ours.requests.length;
        const name = disagreement(ours, readings[i]!);
        if (name === '') agreed++;
        else disagreements.add(name, bytes);
      }
    }
    disagreements.check('Against node:http', true);
    assert.ok(agreed > CASES * 0.7, `only ${agreed} agreements`);
    assert.ok(requests > CASES * 0.4, `only ${requests} requests were accepted`);
  });
});
