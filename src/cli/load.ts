/** Reads manifests once and compiles them: what `check`, `hosts` and `curl` need of the mesh without running it. */

import { systemClock } from '../base/clock.ts';
import { PodAddresses } from '../compile/address/pod-addresses.ts';
import { refusedProblems } from '../compile/annotation/refused.ts';
import { Compiler } from '../compile/compiler.ts';
import { FolderSource } from '../kube/folder.ts';
import { Store, type ObjectRef } from '../kube/store.ts';
import type { Problem, Protocol, Snapshot } from '../model/service.ts';
import { readStandardInput, STANDARD_INPUT } from './standard-input.ts';

export interface LoadOptions {
  /** Files and folders; "-" is standard input. */
  readonly paths: readonly string[];
  readonly serviceCidr: string;
  readonly podCidr: string | null;
  /** Default `http`. */
  readonly defaultMode?: Protocol;
}

export interface Loaded {
  readonly snapshot: Snapshot;
  /** Of the files and of what they say, in order of place. */
  readonly problems: readonly Problem[];
  /** What was passed over, as sentences. */
  readonly notices: readonly string[];
}

/**
 * Loads files and folders; what is wrong inside them is in `problems`.
 * @throws MeshError when a path cannot be read at all.
 */
export async function loadManifests(options: LoadOptions): Promise<Loaded> {
  const { paths, serviceCidr, podCidr, defaultMode = 'http' } = options;
  const store = new Store();
  const changed: ObjectRef[] = [];
  const notices: string[] = [];
  let fileProblems: readonly Problem[] = [];
  const unsubscribe = store.subscribe((refs) => changed.push(...refs));
  const input = paths.includes(STANDARD_INPUT) ? await readStandardInput() : null;
  const source = new FolderSource({
    paths: paths.filter((path) => path !== STANDARD_INPUT),
    ...(input === null ? {} : { input: { shown: 'standard input', text: input } }),
    store: new PodAddresses(store, { podCidr, serviceCidr }),
    clock: systemClock,
    onNotice: (text) => notices.push(text),
    onProblems: (problems) => (fileProblems = problems),
  });
  await source.start();
  await source.stop();
  source.checkFound();
  unsubscribe();
  const compiler = new Compiler(store, { serviceCidr, defaultMode });
  compiler.update(changed);
  const problems = [
    ...fileProblems,
    ...refusedProblems(source.refused()),
    ...compiler.problems(),
    ...compiler.certificateProblems(systemClock.wallMs()),
  ];
  return { snapshot: compiler.snapshot(), problems, notices };
}
