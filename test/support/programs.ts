/** Programs that tests need beyond Node and npm: what is missing, and how to install it. */

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian packages. */
const PACKAGES = {
  bash: 'bash',
  curl: 'curl',
  dig: 'dnsutils',
  fish: 'fish',
  haproxy: 'haproxy',
  nginx: 'nginx',
  openssl: 'openssl',
  promtool: 'prometheus',
  python3: 'python3',
  setpriv: 'util-linux',
  unshare: 'util-linux',
  zsh: 'zsh',
} as const;

export type Program = keyof typeof PACKAGES;

/** Why a test that needs these programs is skipped, or false when all are in PATH. */
export function skipWithoutPrograms(...programs: readonly Program[]): string | false {
  const missing = programs.find((program) => !isInPath(program));
  return missing === undefined
    ? false
    : `${missing} is missing: install it (Debian package ${PACKAGES[missing]})`;
}

function isInPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
