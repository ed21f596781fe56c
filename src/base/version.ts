/** The version of maesh that runs. */

import { readFileSync } from 'node:fs';

/** `version` of package.json, which the checkout, the package and the image all have beside src or dist. */
export function readVersion(): string {
  const path = new URL('../../package.json', import.meta.url);
  const json: unknown = JSON.parse(readFileSync(path, 'utf8'));
  const isPackage = typeof json === 'object' && json !== null && 'version' in json;
  return isPackage ? String(json.version) : 'unknown';
}
