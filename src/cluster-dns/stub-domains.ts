/**
 * Edits the JSON of kube-dns' `stubDomains` as text, so that the spaces and order of others stay. JSON has no comments: what is
 * ours is kept word for word in an annotation of the same ConfigMap (`OWN_ANNOTATION`), written in the same request.
 */

/** Holds the characters that we put into the value, or begins with `KEY_ADDED` when the key was not there before. */
export const OWN_ANNOTATION = 'maesh.dev/stub-domains';
const KEY_ADDED = 'key ';

type StubDomains = Readonly<Record<string, unknown>>;

export type StubReading =
  | { readonly ok: true; readonly domains: StubDomains }
  | { readonly ok: false };

export interface StubState {
  /** Null when there is no such key. */
  readonly value: string | null;
  /** Null when there is no annotation. */
  readonly own: string | null;
}

/** Not `ok` when the value is no JSON object; an empty one is no domains, as kube-dns takes it. */
export function readStubDomains(value: string | null): StubReading {
  if (value === null || value.trim() === '') return { ok: true, domains: {} };
  try {
    const parsed: unknown = JSON.parse(value);
    const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
    return isObject ? { ok: true, domains: { ...parsed } } : { ok: false };
  } catch {
    return { ok: false };
  }
}

/** Adds the domains to a value that has none of ours and none of their names. */
export function addStubDomains(
  value: string | null,
  domains: readonly string[],
  addresses: readonly string[],
): StubState {
  const members = membersText(domains, addresses);
  if (value === null) return { value: `{${members}}`, own: `${KEY_ADDED}{${members}}` };
  if (value.trim() === '') return { value: `${value}{${members}}`, own: `{${members}}` };
  const open = value.indexOf('{') + 1;
  const isEmpty = /^\s*\}/.test(value.slice(open));
  const own = isEmpty ? members : `${members},`;
  return { value: value.slice(0, open) + own + value.slice(open), own };
}

/** Takes ours out. A value that somebody wrote anew loses the domains that have what we wrote, and its format is then JSON's own. */
export function removeStubDomains({ value, own }: StubState): StubState {
  if (own === null || value === null) return { value, own: null };
  const wasKeyAdded = own.startsWith(KEY_ADDED);
  const fragment = wasKeyAdded ? own.slice(KEY_ADDED.length) : own;
  const at = value.indexOf(fragment);
  if (at !== -1) {
    const rest = value.slice(0, at) + value.slice(at + fragment.length);
    if (readStubDomains(rest).ok) {
      return { value: wasKeyAdded && rest.trim() === '' ? null : rest, own: null };
    }
  }
  const rest = removeMembers(value, fragment);
  return { value: rest === '{}' && wasKeyAdded ? null : rest, own: null };
}

function removeMembers(value: string, fragment: string): string {
  const reading = readStubDomains(value);
  if (!reading.ok) return value;
  const bare = fragment.replace(/^\{|\}$|,$/g, '');
  const ours = readStubDomains(`{${bare}}`);
  const names = ours.ok ? ours.domains : {};
  const kept = Object.entries(reading.domains).filter(
    ([name, servers]) => JSON.stringify(names[name]) !== JSON.stringify(servers),
  );
  const isUnchanged = kept.length === Object.keys(reading.domains).length;
  return isUnchanged ? value : JSON.stringify(Object.fromEntries(kept));
}

function membersText(domains: readonly string[], addresses: readonly string[]): string {
  return domains
    .map((domain) => `${JSON.stringify(domain)}:${JSON.stringify(addresses)}`)
    .join(',');
}
