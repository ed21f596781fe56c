/** The image of maesh for the bed: the very root folder that ships, with what the Dockerfile says about it. */

import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../bed/command.ts';
import type { Images } from '../bed/kubelet/types.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** Builds the root folder into a new temporary one, which the caller removes. */
export async function buildRoot(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'maesh-image-'));
  const root = join(folder, 'root');
  await run([process.execPath, join(ROOT, 'scripts/image-root.ts'), root], { timeoutMs: 300_000 });
  if (!existsSync(join(root, 'opt/maesh/dist/cli/main.js'))) throw new Error('No image was built');
  return folder;
}

/** `maesh/maesh:TAG` from a folder that `buildRoot()` made. */
export function maeshImages(folder: string, tag = ''): Images {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  const json = /^ENTRYPOINT (\[.*\])$/m.exec(text)?.[1];
  if (json === undefined) throw new Error('The Dockerfile has no ENTRYPOINT');
  const env = Object.fromEntries(
    [...text.matchAll(/^(?:ENV)?\s+([A-Z_]+)=(\S+?)(?: \\)?$/gm)].map((match) => [
      match[1] ?? '',
      match[2] ?? '',
    ]),
  );
  const [, user = '0', group = '0'] = /^USER (\d+):(\d+)$/m.exec(text) ?? [];
  return {
    [`maesh/maesh:${tag}`]: {
      root: join(folder, 'root'),
      entrypoint: JSON.parse(json) as string[],
      env,
      user: Number(user),
      group: Number(group),
    },
  };
}
