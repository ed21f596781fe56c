// Stands for Pods that speak TLS, for docs/tasks/tls.md. Makes a CA and a certificate with openssl, and writes the CA as a ConfigMap.
//
//   npx node examples/tasks/tls.mjs web-ca.yaml web.shop.svc 127.1.10.1 127.1.10.2

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PORT = 9443;
const [manifest, name, ...addresses] = process.argv.slice(2);
if (addresses.length === 0) {
  throw new Error('Give a file for the ConfigMap, the name for the certificate, and addresses');
}

const folder = mkdtempSync(join(tmpdir(), 'maesh-tls-'));
const at = (file) => join(folder, file);
const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

openssl(
  'req',
  '-x509',
  ...newKey,
  '-keyout',
  at('ca.key'),
  '-out',
  at('ca.crt'),
  '-days',
  '2',
  '-subj',
  '/CN=web CA',
);
openssl('req', ...newKey, '-keyout', at('web.key'), '-out', at('web.csr'), '-subj', '/CN=web');
writeFileSync(at('names'), `subjectAltName=DNS:${name}\n`);
const signed = [
  '-CA',
  at('ca.crt'),
  '-CAkey',
  at('ca.key'),
  '-CAcreateserial',
  '-extfile',
  at('names'),
];
openssl('x509', '-req', '-in', at('web.csr'), ...signed, '-days', '1', '-out', at('web.crt'));
const [ca, cert, key] = ['ca.crt', 'web.crt', 'web.key'].map((file) =>
  readFileSync(at(file), 'utf8'),
);
rmSync(folder, { recursive: true });

writeFileSync(
  manifest,
  `apiVersion: v1
kind: ConfigMap
metadata:
  name: web-ca
  namespace: shop
  labels:
    maesh.dev/upstream-ca: 'true'
data:
  ca.crt: |
${ca.trim().replaceAll(/^/gm, '    ')}
`,
);

for (const address of addresses) {
  createServer({ cert, key }, (request, response) => {
    response.end(`200 from ${address} in ${request.socket.getProtocol()}\n`);
  }).listen(PORT, address, () =>
    process.stdout.write(`stand-in: serves https://${address}:${PORT} as ${name}\n`),
  );
}
