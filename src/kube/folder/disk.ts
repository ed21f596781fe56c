/** What is on disk at a path, as far as a folder of manifests cares. */

import {
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  statSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { isUtf8 } from 'node:buffer';
import { dirname, join, parse, resolve, sep } from 'node:path';
import { MeshError } from '../../base/error.ts';
import { aboutText } from '../../model/object-reference.ts';
import type { Problem } from '../../model/service.ts';

/** Largest manifest file, 64 MiB: some 500,000 endpoints. */
export const FILE_BYTES_MAX = 64 * 1024 * 1024;

/** `signature` is the same as long as nothing was written there. */
export type Look =
  | { readonly kind: 'absent' | 'other'; readonly isLink: boolean }
  | { readonly kind: 'unreadable'; readonly reason: string }
  | {
      readonly kind: 'file' | 'directory';
      readonly isLink: boolean;
      readonly signature: string;
      readonly identity: string;
      readonly modifiedMs: number;
    };

export type FoundLook = Extract<Look, { readonly kind: 'file' | 'directory' }>;

/** Time stamps are as coarse as the kernel's clock tick: what was written this recently may change and keep its own. */
const COARSE_MS = 50;

/** The signature to compare with later; '' when one cannot rely on it yet. */
export function lastingSignature(look: FoundLook, wallMs: number): string {
  return Math.abs(wallMs - look.modifiedMs) > COARSE_MS ? look.signature : '';
}

/** A problem of a whole file or folder, to be filled in. */
export function problemAt(shown: string): Problem {
  return {
    severity: 'error',
    ...aboutText(shown),
    field: '',
    value: '',
    message: '',
    remedy: '',
    location: shown,
  };
}

/** Looks at a path, through symbolic links. A link to nothing is absent. */
export function lookAt(path: string): Look {
  try {
    const own = lstatSync(path, { throwIfNoEntry: false });
    const isLink = own?.isSymbolicLink() ?? false;
    const stat = isLink ? statSync(path, { throwIfNoEntry: false }) : own;
    if (stat === undefined) return { kind: 'absent', isLink };
    if (!stat.isFile() && !stat.isDirectory()) return { kind: 'other', isLink };
    return {
      kind: stat.isFile() ? 'file' : 'directory',
      isLink,
      signature: signatureOf(stat),
      identity: `${stat.dev}:${stat.ino}`,
      modifiedMs: stat.mtimeMs,
    };
  } catch (thrown) {
    const error = MeshError.from(thrown);
    return isGone(thrown)
      ? { kind: 'absent', isLink: false }
      : { kind: 'unreadable', reason: error.message };
  }
}

/** A file whose parent became a file, or a loop of links, is as good as absent. */
function isGone(thrown: unknown): boolean {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : '';
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP';
}

function signatureOf(stat: Stats): string {
  return `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeMs}:${stat.ctimeMs}`;
}

export type FileText =
  | { readonly ok: true; readonly text: string }
  | {
      readonly ok: false;
      readonly isAbsent: boolean;
      readonly message: string;
      readonly remedy: string;
    };

/** Reads a file as UTF-8; every way to fail is an answer. */
export function readText(path: string): FileText {
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    const { size } = fstatSync(file);
    if (size > FILE_BYTES_MAX) {
      return failed(
        `File is too large: ${size} bytes, at most ${FILE_BYTES_MAX}`,
        'split it into several files',
      );
    }
    const bytes = readFileSync(file);
    if (!isUtf8(bytes)) return failed('File is not UTF-8 text', 'save it as UTF-8');
    return { ok: true, text: bytes.toString('utf8') };
  } catch (thrown) {
    const { message } = MeshError.from(thrown);
    if (isGone(thrown)) return { ok: false, isAbsent: true, message, remedy: '' };
    return failed(`Cannot read the file: ${message}`, 'check its permissions');
  } finally {
    if (file !== null) closeSync(file);
  }
}

function failed(message: string, remedy: string): FileText {
  return { ok: false, isAbsent: false, message, remedy };
}

/** A name in a directory that decides what a path leads to. */
export interface LinkStep {
  readonly directory: string;
  readonly name: string;
}

/** Symbolic links followed for one path, as in Linux. */
const LINKS_MAX = 40;

/**
 * Every link on the way to `path`, and the name it ends at: when none of these changes, nor does what the path leads to.
 * `..data/web.yaml` of a mounted ConfigMap goes through two.
 */
export function linkSteps(path: string): readonly LinkStep[] {
  const steps: LinkStep[] = [];
  let { root: at } = parse(resolve(path));
  let names = resolve(path).slice(at.length).split(sep);
  for (let links = 0; names.length > 0 && links <= LINKS_MAX;) {
    const [name = '', ...rest] = names;
    const next = join(at, name);
    const target = linkTarget(next);
    if (target === null) {
      if (rest.length === 0) steps.push({ directory: at, name });
      at = next;
      names = rest;
      continue;
    }
    links++;
    steps.push({ directory: at, name });
    const { root } = parse(resolve(dirname(next), target));
    names = [...resolve(dirname(next), target).slice(root.length).split(sep), ...rest];
    at = root;
  }
  return steps;
}

function linkTarget(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch (thrown) {
    // Not a link, or nothing there: the way goes on, or ends, by its name.
    MeshError.from(thrown);
    return null;
  }
}
