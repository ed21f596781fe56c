/** What the interop tests run of Go, built by scripts/interop-go.sh; and why it is skipped where that cannot be. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../scripts/interop-go.sh', import.meta.url));
const built = spawnSync(script, { encoding: 'utf8' });

export const GO_FOLDER = built.stdout.trim();

export const SKIP_GO: string | false =
  built.status === 0 ? false : `what is written in Go is missing: ${built.stderr.trim()}`;
