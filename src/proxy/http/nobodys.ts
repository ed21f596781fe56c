import { Defect } from '../net/copy-whole.ts';

/** Stands for what somebody has let go of: keeps nothing alive, and to ask it for anything is a defect. */
// oxlint-disable-next-line no-unnecessary-type-parameters -- it stands for one of these
export function nobodys<T extends object>(who: string): T {
  return new Proxy({} as T, {
    get(_, name): never {
      throw new Defect(`${who} asks for its ${String(name)}`);
    },
  });
}
