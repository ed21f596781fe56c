/**
 * A cluster to try things in: `npm run cluster` opens a shell in which kubectl, helm and maesh see it. Images: maesh of this
 * checkout, and stand-ins for those of the pages (`stand-in.ts`). The cluster ends with the shell.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Images } from './bed/kubelet/types.ts';
import { findTools, ROOT } from './bed/tools.ts';
import { MeshBed } from './mesh/mesh.ts';

/** They are programs of this machine: the root of the container has its /usr. */
function standIns(): Images {
  const { coredns } = findTools();
  const bind = (from: string, to: string): { from: string; to: string } => ({ from, to });
  const env = { PATH: '/app:/usr/sbin:/usr/bin:/sbin:/bin' };
  const user = { user: 65_532, group: 65_532, env };
  return {
    'curlimages/curl': { entrypoint: ['/usr/bin/curl'], ...user },
    'coredns/coredns': { binds: [bind(coredns, '/coredns')], entrypoint: ['/coredns'], ...user },
    'traefik/whoami': {
      binds: [
        bind(process.execPath, '/app/node'),
        bind(join(import.meta.dirname, 'stand-in.ts'), '/app/stand-in.ts'),
      ],
      entrypoint: ['/app/node', '/app/stand-in.ts'],
      ...user,
    },
    // Anything else that /usr has: `--image=machine -- redis-server …`.
    machine: { entrypoint: [], ...user },
  };
}

const mesh = await MeshBed.start({ nodes: 2, images: standIns() });
try {
  const { env, argv } = mesh.bed.where();
  const bin = join(mesh.bed.onlyLocal.work, 'bin');
  const tools = findTools();
  mkdirSync(bin);
  symlinkSync(tools.kubectl, join(bin, 'kubectl'));
  symlinkSync(tools.helm[4], join(bin, 'helm'));
  process.stdout.write(
    'A cluster of two nodes. The shell has kubectl and helm; `exit` ends both.\n',
  );
  const path = [bin, join(ROOT, 'bin'), process.env['PATH'], '/usr/sbin', '/sbin'].join(':');
  const [command, ...rest] = [...argv, 'bash'];
  const shell = spawn(command, rest, {
    cwd: ROOT,
    env: { ...process.env, ...env, PATH: path },
    stdio: 'inherit',
  });
  // Ctrl-C is for what runs in the shell.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => shell.kill('SIGHUP'));
  const [code] = (await once(shell, 'close')) as [number | null];
  process.exitCode = code ?? 1;
} finally {
  await mesh.stop();
}
