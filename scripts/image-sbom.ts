/**
 * The bill of materials of the image, as CycloneDX 1.5. Written from package-lock.json, because `npm sbom --omit=dev` leaves out a
 * dependency that a development tool needs as well; and without anything that differs from build to build.
 */

import { createHash } from 'node:crypto';

/** What package-lock.json says of one folder; paths are `node_modules/NAME`. */
export interface LockedPackage {
  readonly version: string;
  readonly license?: string;
  /** `sha512-` and base64, as in HTML. */
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
}

export interface Component {
  readonly type: 'application' | 'library';
  readonly name: string;
  readonly version: string;
  /** https://github.com/package-url/purl-spec */
  readonly purl: string;
  readonly licenses?: readonly object[];
  readonly hashes?: readonly object[];
}

/** One entry of package-lock.json; `path` is its key. */
export function npmComponent(path: string, locked: LockedPackage): Component {
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const { version, license, integrity } = locked;
  const [algorithm, value = ''] = (integrity ?? '').split('-');
  const content = Buffer.from(value, 'base64').toString('hex');
  return {
    type: 'library',
    name,
    version,
    purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
    ...(license === undefined ? {} : { licenses: [{ license: { id: license } }] }),
    ...(algorithm === 'sha512' ? { hashes: [{ alg: 'SHA-512', content }] } : {}),
  };
}

/**
 * The document as text. The time is `seconds` since 1970, and the serial number follows from the content instead of chance
 * (an RFC 9562 UUID of version 8).
 */
export function renderSbom(
  version: string,
  components: readonly Component[],
  seconds: number,
): string {
  const purl = `pkg:npm/maesh@${version}`;
  const maesh: Component = { type: 'application', name: 'maesh', version, purl };
  const refer = (each: Component) => ({ 'bom-ref': each.purl, ...each });
  const body = {
    version: 1,
    metadata: { timestamp: new Date(seconds * 1_000).toISOString(), component: refer(maesh) },
    // The same version in two folders is one component.
    components: [...new Map(components.map((each) => [each.purl, refer(each)])).values()],
  };
  const hex = createHash('sha256').update(JSON.stringify(body)).digest('hex');
  const uuid = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  const head = { bomFormat: 'CycloneDX', specVersion: '1.5', serialNumber: `urn:uuid:${uuid}` };
  return `${JSON.stringify({ ...head, ...body }, null, 2)}\n`;
}
