/**
 * The script that makes a process a container: in fresh mount, process, IPC and host name namespaces it builds the root
 * folder from the image and the volumes, and then becomes the container's process with the user, groups and
 * capabilities that the pod asks for. The small tools it needs inside lie in /.bed, so that the image needs none.
 */

import { join } from 'node:path';
import type { Image, SecurityContext } from './types.ts';

export interface Mount {
  readonly from: string;
  readonly to: string;
  readonly readOnly: boolean;
  /** A bind needs something to lie on that is a file when it is one. */
  readonly file: boolean;
}

export interface ContainerRoot {
  /** The container's own folder: the script, the root and what the container writes are in it. */
  readonly folder: string;
  /** Empty root with what every image has: /etc/passwd, /tmp and so on. */
  readonly base: string;
  /** Folder with ld.so, setpriv, env and what loads a seccomp filter, seen as /.bed. */
  readonly helpers: string;
  readonly image: Image;
  readonly mounts: readonly Mount[];
  readonly hostname: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly identity: Identity;
}

export interface Identity {
  readonly user: number;
  readonly group: number;
  readonly groups: readonly number[];
  /** As setpriv takes them: `-all,+net_bind_service`; '' keeps all. */
  readonly bounding: string;
  readonly noNewPrivileges: boolean;
  readonly readOnlyRoot: boolean;
  /** With the default seccomp profile of container engines (seccomp.ts). */
  readonly confined: boolean;
}

/** What containerd leaves to a container that asks for nothing. */
const DEFAULT_CAPABILITIES =
  `chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw
  sys_chroot mknod audit_write setfcap`.split(/\s+/);

/** Joins what pod, container and image say; a container's word counts most. */
export function identityOf(
  pod: SecurityContext | undefined,
  container: SecurityContext | undefined,
  image: Image,
): Identity {
  const user = container?.runAsUser ?? pod?.runAsUser ?? image.user ?? 0;
  const group = container?.runAsGroup ?? pod?.runAsGroup ?? image.group ?? 0;
  const groups = [
    ...(pod?.fsGroup === undefined ? [] : [pod.fsGroup]),
    ...(pod?.supplementalGroups ?? []),
  ];
  const drop = (container?.capabilities?.drop ?? []).map(capability);
  const add = (container?.capabilities?.add ?? []).map(capability);
  const kept = drop.includes('all')
    ? []
    : DEFAULT_CAPABILITIES.filter((name) => !drop.includes(name));
  const all = container?.privileged === true || add.includes('all');
  return {
    user,
    group,
    groups,
    bounding: all ? '' : ['-all', ...[...kept, ...add].map((name) => `+${name}`)].join(','),
    noNewPrivileges: container?.allowPrivilegeEscalation === false,
    readOnlyRoot: container?.readOnlyRootFilesystem === true,
    confined: (container?.seccompProfile ?? pod?.seccompProfile)?.type === 'RuntimeDefault',
  };
}

function capability(name: string): string {
  return name.toLowerCase().replace(/^cap_/, '');
}

/**
 * Text of the script. It writes its process id, as the machine counts, to the file `pid`. Files 3 and 4 become the
 * output of the container; what the script itself has to say is not mixed with it.
 */
export function scriptOf(root: ContainerRoot): string {
  const { folder, base, helpers, image, mounts, identity } = root;
  const at = join(folder, 'root');
  const inside = (path: string): string => quote(join(at, path));
  const binds: readonly Mount[] = [
    { from: helpers, to: '/.bed', readOnly: true, file: false },
    ...(identity.confined
      ? [{ from: process.execPath, to: NODE, readOnly: true, file: true }]
      : []),
    ...(image.root === undefined
      ? [{ from: '/usr', to: '/usr', readOnly: true, file: false }]
      : []),
    ...mounts,
  ];
  const lower = [...(image.root === undefined ? [] : [image.root]), base].join(':');
  const overlay = `lowerdir=${lower},upperdir=${join(folder, 'upper')},workdir=${join(folder, 'scratch')}`;
  return [
    'set -e',
    'read -r pid rest </proc/self/stat',
    `hostname ${quote(root.hostname)}`,
    `mount -t overlay overlay -o ${quote(overlay)} ${quote(at)}`,
    `mkdir -p ${['/proc', '/dev', ...binds.filter(({ file }) => !file).map(({ to }) => to)].map(inside).join(' ')}`,
    `mount -t proc proc ${inside('/proc')}`,
    `mount -t tmpfs -o mode=755,size=64m tmpfs ${inside('/dev')}`,
    `cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty ${inside('/dev')}/`,
    `mkdir -m 1777 ${inside('/dev/shm')}`,
    `ln -s /proc/self/fd ${inside('/dev/fd')}`,
    ...binds.flatMap(({ from, to, readOnly, file }) => [
      ...(file
        ? [`mkdir -p ${inside(join(to, '..'))}; [ -e ${inside(to)} ] || : >${inside(to)}`]
        : []),
      `mount -o bind${readOnly ? ',ro' : ''} ${quote(from)} ${inside(to)}`,
    ]),
    ...(identity.readOnlyRoot ? [`mount -o remount,bind,ro ${quote(at)}`] : []),
    // Last, so that a signal comes to the container's process and not to this script, which would not hear it.
    `echo "$pid" >${quote(join(folder, 'pid'))}`,
    `exec chroot ${quote(at)} ${becoming(root).map(quote).join(' ')} >&3 2>&4 3>&- 4>&-`,
    '',
  ].join('\n');
}

const LOADER = ['/.bed/ld.so', '--library-path', '/.bed'];
/** The machine's, mounted where `helpers` has an empty file. */
const NODE = '/.bed/node';
/** The last step before the container's own program, so that only that has to do with what the filter allows. */
const CONFINE = [...LOADER, NODE, '--no-warnings', '/.bed/confine.ts', '/.bed/filter'];

function becoming({ identity, argv, env, workingDir }: ContainerRoot): readonly string[] {
  const { user, group, groups, bounding, noNewPrivileges, confined } = identity;
  return [
    ...LOADER,
    '/.bed/env',
    '-i',
    '-C',
    workingDir,
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...LOADER,
    '/.bed/setpriv',
    `--reuid=${user}`,
    `--regid=${group}`,
    groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`,
    ...(bounding === '' ? [] : [`--bounding-set=${bounding}`, '--inh-caps=-all']),
    ...(noNewPrivileges ? ['--no-new-privs'] : []),
    '--',
    ...(confined ? [...CONFINE, ...LOADER, '/.bed/env'] : []),
    ...argv,
  ];
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
