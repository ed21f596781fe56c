/** For `--import`: from then on the kernel refuses each `splice` of the process, as in a sandbox that does not know it. */

const original = process.getBuiltinModule.bind(process);

process.getBuiltinModule = ((id: string): unknown => {
  const module = original(id);
  return id === 'node:ffi' && module !== undefined ? refusing(module as Ffi) : module;
}) as typeof process.getBuiltinModule;

interface Ffi {
  dlopen(...args: readonly unknown[]): { readonly functions: Functions };
}

type Functions = Readonly<Record<string, (...args: readonly number[]) => number>>;

function refusing(ffi: Ffi): Ffi {
  return {
    ...ffi,
    dlopen(...args): { readonly functions: Functions } {
      const opened = ffi.dlopen(...args);
      const { splice } = opened.functions;
      if (splice === undefined) return opened;
      // Asked for descriptors that are none, the kernel says no as it would to others.
      const refused = (): number => splice(-1, 0, -1, 0, 1, 0);
      return { ...opened, functions: { ...opened.functions, splice: refused } };
    },
  };
}
