/** `maesh controller` as the image runs it: compiled, with the flags of the Dockerfile, within the memory of its container. */

import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { run, waitFor } from '../../test/cluster/bed/command.ts';
import { ROOT } from '../../test/cluster/bed/tools.ts';
import { freePorts } from '../../test/support/ports.ts';
import { Child } from './child.ts';
import { MESH_NAMESPACE } from './objects.ts';

const READY_TIMEOUT_MS = 300_000;

/** Compiles the sources into `folder`, with what the image has beside them; the path of the program. */
export async function compile(folder: string): Promise<string> {
  const root = join(folder, 'package');
  mkdirSync(root);
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  await run([tsc, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(root, 'dist')], {
    timeoutMs: 300_000,
  });
  for (const name of ['chart', 'package.json']) {
    cpSync(join(ROOT, name), join(root, name), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  return join(root, 'dist/cli/main.js');
}

export interface ControllerOptions {
  readonly folder: string;
  /** As `compile()` gives it. */
  readonly main: string;
  readonly kubeconfig: string;
  readonly nodeFlags: readonly string[];
  readonly memory: MemoryLimit;
  readonly onChild: (child: Child) => void;
}

export interface Controller {
  readonly child: Child;
  readonly discoveryPort: number;
  /** `performance.now()` before it was started. */
  readonly startedMs: number;
  readonly isReady: () => Promise<boolean>;
}

/** `discoveryPort` stays the same from start to start, so that agents find it again. */
export async function startController(
  options: ControllerOptions,
  discoveryPort: number,
): Promise<Controller> {
  const { folder, main, kubeconfig, memory } = options;
  const [adminPort] = await freePorts(1);
  const { flags, variables } = imageSettings();
  const startedMs = performance.now();
  const child = new Child({
    name: 'controller',
    argv: [process.execPath, ...flags, ...memory.flags, ...options.nodeFlags, main, 'controller'],
    logFile: join(folder, 'controller.log'),
    cgroup: memory.cgroup,
    env: {
      ...variables,
      POD_NAME: 'maesh-controller-0',
      MAESH_KUBECONFIG: kubeconfig,
      MAESH_NAMESPACE: MESH_NAMESPACE,
      MAESH_DISCOVERY: `127.0.0.1:${discoveryPort}`,
      MAESH_ADMIN: `127.0.0.1:${adminPort}`,
      MAESH_DNS_MODE: 'off',
      MAESH_LOG_FORMAT: 'json',
    },
  });
  options.onChild(child);
  const isReady = async (): Promise<boolean> =>
    (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok;
  return { child, discoveryPort, startedMs, isReady };
}

/** Seconds from its start until it is ready. */
export async function untilReady({ child, startedMs, isReady }: Controller): Promise<number> {
  await waitFor('the controller', () => !child.isRunning || isReady(), {
    timeoutMs: READY_TIMEOUT_MS,
    everyMs: 50,
  });
  child.mustRun();
  return (performance.now() - startedMs) / 1_000;
}

/** Flags of Node and variables that the Dockerfile has; test/chart/image.test.ts holds bin/maesh to them. */
function imageSettings(): {
  readonly flags: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
} {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  const [, list = '[]'] = /^ENTRYPOINT (\[.*\])$/m.exec(text) ?? [];
  const flags = (JSON.parse(list) as readonly string[]).filter((word) => word.startsWith('--'));
  const found = text.matchAll(/\b(MALLOC_\w+)=(\S+)/g);
  const variables = Object.fromEntries([...found].map(([, name, value]) => [name, value]));
  if (flags.length === 0 || Object.keys(variables).length === 0) {
    throw new Error('Cannot find the flags of Node in the Dockerfile: is its ENTRYPOINT a list?');
  }
  return { flags, variables };
}

/** What holds the controller to the memory of its container. Node makes its heap to fit: 1 GiB gives some 540 MB of it. */
export interface MemoryLimit {
  /** Of the kernel; '' where there is none. */
  readonly cgroup: string;
  /** Of Node, where the kernel cannot be asked to. */
  readonly flags: readonly string[];
  readonly text: string;
  release(): void;
}

export function limitMemory(mebibytes: number): MemoryLimit {
  if (mebibytes === 0) {
    return { cgroup: '', flags: [], text: 'no limit of memory', release: () => undefined };
  }
  const own = ownGroup();
  const cgroup = join(own.folder, `maesh-bench-${process.pid}`);
  try {
    mkdirSync(cgroup);
    const file = join(cgroup, own.file);
    if (!existsSync(file)) throw new Error(`there is no ${own.file}`);
    writeFileSync(file, String(mebibytes * 1_048_576));
  } catch (error) {
    if (existsSync(cgroup)) rmdirSync(cgroup);
    const why = error instanceof Error ? error.message : String(error);
    return {
      cgroup: '',
      flags: [`--max-old-space-size=${mebibytes / 2}`],
      text: `a heap as Node has it in a container of ${mebibytes} MiB; no control group: ${why}`,
      release: () => undefined,
    };
  }
  const text = `a control group of ${mebibytes} MiB`;
  return { cgroup, flags: [], text, release: () => rmdirSync(cgroup) };
}

/** Below the group that this process is in: version 1 has a hierarchy for memory alone, version 2 one for all. */
function ownGroup(): { readonly folder: string; readonly file: string } {
  const groups = readFileSync('/proc/self/cgroup', 'utf8');
  const [, path] = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(groups) ?? [];
  if (path !== undefined) {
    return { folder: join('/sys/fs/cgroup/memory', path), file: 'memory.limit_in_bytes' };
  }
  const [, unified = '/'] = /^0::(.*)$/m.exec(groups) ?? [];
  return { folder: join('/sys/fs/cgroup', unified), file: 'memory.max' };
}
