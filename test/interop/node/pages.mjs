/** The pages that every server of the interop tests serves, as a listener of node:http. */

export const LARGE = Buffer.alloc(307_200, 'maesh interop ');
export const PARTS = Array.from({ length: 5 }, (_, i) => `part ${i}\n`.repeat(50));
const TEXT = { 'Content-Type': 'text/plain', 'X-Page': 'plain' };
const COOKIES = Array.from({ length: 150 }, (_, i) => `c${i}=v`);

/** Status, header fields and body of a page; a body of null is streamed in PARTS, without a length. */
export function page(path) {
  switch (path) {
    case '/plain':
      return [200, TEXT, 'hello'];
    case '/large':
      return [200, TEXT, LARGE];
    case '/stream':
      return [200, TEXT, null];
    case '/empty':
      return [204, { 'X-Page': 'empty' }, ''];
    case '/not-modified':
      return [304, { ETag: '"1"' }, ''];
    case '/cookies':
      return [200, { ...TEXT, 'Set-Cookie': COOKIES }, 'cookies'];
    case '/few-cookies':
      return [200, { ...TEXT, 'Set-Cookie': COOKIES.slice(0, 90) }, 'cookies'];
    case '/redirect':
      return [302, { Location: '/plain', 'Content-Type': 'text/plain' }, 'over there'];
    case '/broken':
      return [500, TEXT, 'broken'];
    default:
      return [404, TEXT, 'nothing here'];
  }
}

/** @type {import('node:http').RequestListener} */
export async function listener(request, response) {
  const { method, url = '' } = request;
  if (method === 'POST' && url === '/refuse') {
    // Not read on purpose.
    response.writeHead(413, { 'Content-Type': 'text/plain', Connection: 'close' }).end('too large');
    return;
  }
  if (method === 'POST' && url === '/echo') {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    response.writeHead(200, TEXT).end(Buffer.concat(chunks));
    return;
  }
  const [status, fields, body] = page(url);
  if (body === null) {
    response.writeHead(status, fields);
    for (const part of PARTS) response.write(part);
    response.end();
    return;
  }
  const length =
    status === 204 || status === 304 ? {} : { 'Content-Length': Buffer.byteLength(body) };
  response.writeHead(status, { ...fields, ...length }).end(body);
}
