/**
 * What the synthetic traffic of the warm-up says: the messages of usual clients and servers, because compiled code
 * covers only what it has seen, and is thrown away at the first thing that it has not.
 */

function message(...lines: readonly string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Ends every request body and every response body: whoever reads knows that it has all. Nothing else ends so. */
export const BODY_END = 0x7e;

const HOSTS = ['up.warm.maesh', 'up.warm.maesh:8080', '127.0.0.1:30080', '[::1]:30080', '10.1.2.3'];

/** Every one is answered before the next one is sent on its connection. */
export const REQUESTS: readonly Buffer[] = HOSTS.flatMap((host) => [
  message('GET / HTTP/1.1', `Host: ${host}`, 'User-Agent: curl/8.5.0', 'Accept: */*'),
  message(`GET /api/v1/items/42?page=1&q=a%20b HTTP/1.1`, `Host: ${host}`),
  message(
    'GET /assets/app-1.2_3.js HTTP/1.1',
    `Host: ${host}`,
    'Connection: keep-alive',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
    'Accept: text/html,application/json;q=0.9,*/*;q=0.8',
    'Accept-Encoding: gzip, deflate, br',
    'Accept-Language: en-GB,en;q=0.5',
    'Cache-Control: no-cache',
    `Referer: http://${host}/`,
    'Cookie: session=0123456789abcdef; theme=dark',
    'If-None-Match: "33a64df5"',
    'X-Request-ID: 5f1c2e0a-7b1d-4c55-9d57-c1f8a0ad1f70',
    'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    'Authorization: Bearer eyJhbGciOiJub25lIn0',
    'X-Forwarded-For: 192.0.2.7',
  ),
  `${message(
    'POST /orders HTTP/1.1',
    `host: ${host}`,
    'content-type: application/json',
    'accept-encoding: gzip',
    'content-length: 15',
  )}{"id":7,"n":1}~`,
  message('HEAD /health HTTP/1.1', `Host: ${host}`, 'User-Agent: Go-http-client/1.1'),
]).map((text) => Buffer.from(text));

const DATE = 'Date: Thu, 01 Jan 2026 00:00:00 GMT';

/** Their bodies end with BODY_END; 1,000 and 20,000 bytes are read in one piece and in several. */
export const RESPONSES: readonly Buffer[] = [
  withLength('200 OK', 'Hello, world~', 'Server: nginx', DATE, 'Connection: keep-alive'),
  withLength('200 OK', `${'x'.repeat(999)}~`, DATE, 'ETag: "33a64df5"', 'Vary: Accept-Encoding'),
  message(
    'HTTP/1.1 200 OK',
    'Content-Type: application/json; charset=utf-8',
    DATE,
    'Connection: keep-alive',
    'Keep-Alive: timeout=5',
    'Transfer-Encoding: chunked',
  ) + 'd\r\n{"message":1}\r\n1\r\n~\r\n0\r\n\r\n',
  withLength('404 Not Found', 'no such thing~', 'X-Powered-By: Express', DATE),
  withLength('201 Created', '{"id":7}~', 'Location: /orders/7', 'Set-Cookie: a=b; Path=/'),
  withLength('500 Internal Server Error', 'oops~', 'cache-control: no-store'),
  withLength('200 OK', `${'x'.repeat(19_999)}~`, 'Accept-Ranges: bytes', DATE),
].map((text) => Buffer.from(text));

/** Answers a HEAD. */
export const RESPONSE_HEAD = Buffer.from(
  message('HTTP/1.1 200 OK', 'Content-Type: text/plain', 'Content-Length: 13', DATE),
);

function withLength(status: string, body: string, ...fields: readonly string[]): string {
  const length = `Content-Length: ${body.length}`;
  return `${message(`HTTP/1.1 ${status}`, 'Content-Type: text/plain', ...fields, length)}${body}`;
}
