/** The image of maesh without an image: the root folder that it would hold, run as the Dockerfile says. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildImageRoot } from '../../scripts/image-root.ts';
import type { Image, Images } from './bed/kubelet/types.ts';
import { ROOT } from './bed/tools.ts';

/** Builds into `folder`, which must not be there yet; a few seconds. The key is for any tag; tests may add others. */
export function maeshImages(folder: string): Images {
  buildImageRoot(folder);
  return {
    'maesh/maesh:': asDockerfileSays(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'), folder),
  };
}

/** Reads what the last stage says about starting. What it says in another way than today is an error, not a guess. */
export function asDockerfileSays(dockerfile: string, root: string): Image {
  const stage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM ')).replaceAll(/\\\n\s*/g, '');
  const line = (word: string): string => {
    const found = new RegExp(`^${word} (.+)$`, 'm').exec(stage)?.[1];
    if (found === undefined) throw new Error(`The last stage of the Dockerfile has no ${word}`);
    return found;
  };
  const list = (word: string): string[] => JSON.parse(line(word)) as string[];
  const [user, group] = line('USER').split(':').map(Number);
  if (user === undefined || group === undefined || Number.isNaN(user + group)) {
    throw new Error(`The Dockerfile's USER is not UID:GID: ${line('USER')}`);
  }
  const env = line('ENV')
    .split(/\s+/)
    .map((pair) => pair.split('=') as [string, string]);
  return {
    root,
    entrypoint: list('ENTRYPOINT'),
    cmd: list('CMD'),
    env: Object.fromEntries(env),
    user,
    group,
    workingDir: '/',
  };
}
