/** The services of interop.proto, as grpc-js wants them. */

import { fileURLToPath } from 'node:url';

export function interopServices(grpc, protoLoader) {
  const file = fileURLToPath(new URL('./interop.proto', import.meta.url));
  const definition = protoLoader.loadSync(file, { keepCase: true, defaults: true });
  return grpc.loadPackageDefinition(definition).grpc.testing;
}
