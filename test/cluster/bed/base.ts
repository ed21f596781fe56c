/** What every container's root has before its image: an empty folder tree, and the tools that the start needs inside. */

import { chmodSync, copyFileSync, existsSync, lstatSync, mkdirSync, readlinkSync } from 'node:fs';
import { symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run } from './command.ts';
import { bytesOf, defaultProfile } from './kubelet/seccomp.ts';

const PASSWD =
  'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n';
const GROUP = 'root:x:0:\nnonroot:x:65532:\n';

/** Makes `base`, for images on the machine's /usr, `bare`, for those with a root folder, and `helpers` below `work`. */
export async function makeBases(work: string): Promise<void> {
  for (const [name, folders] of [
    ['bare', ['proc', 'sys', 'dev', 'etc', '.bed']],
    [
      'base',
      [
        'proc',
        'sys',
        'dev',
        'etc',
        '.bed',
        'usr',
        'var',
        'run',
        'root',
        'home/nonroot',
        'tmp',
        'var/tmp',
      ],
    ],
  ] as const) {
    for (const folder of folders)
      mkdirSync(join(work, name, folder), { recursive: true, mode: 0o755 });
  }
  const base = join(work, 'base');
  for (const folder of ['tmp', 'var/tmp']) chmodSync(join(base, folder), 0o1777);
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    const link = `/${name}`;
    if (existsSync(link) && lstatSync(link).isSymbolicLink()) {
      symlinkSync(readlinkSync(link), join(base, name));
    }
  }
  writeFileSync(join(base, 'etc/passwd'), PASSWD);
  writeFileSync(join(base, 'etc/group'), GROUP);
  writeFileSync(join(base, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  if (existsSync('/etc/ld.so.cache'))
    copyFileSync('/etc/ld.so.cache', join(base, 'etc/ld.so.cache'));
  await copyHelpers(join(work, 'helpers'));
}

/** setpriv, env and Node with all libraries they load, so that they run in a root that has none, and the seccomp filter. */
async function copyHelpers(folder: string): Promise<void> {
  mkdirSync(folder, { mode: 0o755 });
  writeFileSync(join(folder, 'filter'), bytesOf(defaultProfile()));
  copyFileSync(join(import.meta.dirname, 'kubelet/confine.ts'), join(folder, 'confine.ts'));
  for (const path of ['/usr/bin/setpriv', '/usr/bin/env', process.execPath]) {
    // Node is large: it is mounted over an empty file.
    if (path === process.execPath) writeFileSync(join(folder, 'node'), '');
    else copyFileSync(path, join(folder, basename(path)));
    for (const line of (await run(['ldd', path])).split('\n')) {
      const library = /(\/\S+) \(0x/.exec(line)?.[1];
      if (library === undefined) continue;
      const name = basename(library);
      copyFileSync(library, join(folder, name.startsWith('ld-linux') ? 'ld.so' : name));
    }
  }
}
