/** What the interop tests run of Go, built by scripts/interop-go.sh; and why it is skipped where that cannot be. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../scripts/interop-go.sh', import.meta.url));

export interface Built {
  readonly folder: string;
  readonly skip: string | false;
}

/** `http2`: h2spec, and `pages`, of net/http. `grpc`: `grpc`, of grpc-go. `hello`: `hello`, of crypto/tls. */
export function buildGo(what: 'http2' | 'grpc' | 'hello'): Built {
  const built = spawnSync(script, [what], { encoding: 'utf8' });
  return {
    folder: built.stdout.trim(),
    skip: built.status === 0 ? false : `what is written in Go is missing: ${built.stderr.trim()}`,
  };
}

export const { folder: GO_FOLDER, skip: SKIP_GO } = buildGo('http2');
