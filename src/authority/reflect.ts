/**
 * The part of the metadata reflection API (decorators, stage 1) that `tsyringe`, below `@peculiar/x509`, asks for when it is loaded: without it the
 * import throws. Must be imported before `@peculiar/x509`; leaves an implementation that is already there alone.
 */

type Target = object;
type Key = string | symbol;

/** Metadata of a class by its key. Nothing here is about single properties: the library decorates classes and constructors only. */
const metadataOf = new WeakMap<Target, Map<unknown, unknown>>();

function defineMetadata(key: unknown, value: unknown, target: Target): void {
  const own = metadataOf.get(target) ?? new Map<unknown, unknown>();
  own.set(key, value);
  metadataOf.set(target, own);
}

function getOwnMetadata(key: unknown, target: Target): unknown {
  return metadataOf.get(target)?.get(key);
}

/** Looks at the class itself, then at those it extends. */
function getMetadata(key: unknown, target: Target): unknown {
  for (
    let at: unknown = target;
    typeof at === 'function' || (typeof at === 'object' && at !== null);
    at = Object.getPrototypeOf(at)
  ) {
    const own = metadataOf.get(at);
    if (own?.has(key) === true) return own.get(key);
  }
  return undefined;
}

/** The decorator that compiled TypeScript calls (`__metadata`); what it says of properties has no reader. */
function metadata(key: unknown, value: unknown): (target: Target, property?: Key) => void {
  return (target, property) => {
    if (property === undefined) defineMetadata(key, value, target);
  };
}

if (!('getMetadata' in Reflect)) {
  Object.assign(Reflect, { defineMetadata, getOwnMetadata, getMetadata, metadata });
}
