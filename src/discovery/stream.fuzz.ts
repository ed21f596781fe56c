/** What must hold for any bytes that a peer, or a damaged disk that kept its checksum, may hand to the readers. */

import { MeshError } from '../base/error.ts';
import { DEFAULT_POLICIES } from '../model/defaults.ts';
import { FRAME_TYPE, FrameReader, type Frame } from './frame.ts';
import { readHello, readWelcome } from './hello.ts';
import { readAcknowledge, readCommit, readGoAway, readToken } from './message.ts';
import { readPart, type Part } from './part.ts';
import { readReport } from './report.ts';
import { Pool } from './pool.ts';
import { MeshState } from './mesh-state.ts';

const DEFAULTS = JSON.stringify(DEFAULT_POLICIES);

function check(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(`broken invariant: ${what}`);
}

const READERS: Readonly<Record<number, (frame: Frame) => unknown>> = {
  [FRAME_TYPE.hello]: readHello,
  [FRAME_TYPE.welcome]: readWelcome,
  [FRAME_TYPE.commit]: readCommit,
  [FRAME_TYPE.acknowledge]: readAcknowledge,
  [FRAME_TYPE.goAway]: readGoAway,
  [FRAME_TYPE.token]: readToken,
  [FRAME_TYPE.report]: readReport,
};

/** Reads the bytes as an agent and a controller would; throws unless they are read or refused in order. */
export function fuzzStream(bytes: Buffer): void {
  const meshState = new MeshState();
  const pool = new Pool();
  const reader = new FrameReader(65_536, (frame) => {
    READERS[frame.type]?.(frame);
    if (frame.type === FRAME_TYPE.snapshot) meshState.beginSnapshot();
    if (frame.type === FRAME_TYPE.part) {
      const part = readPart(frame, pool);
      checkPart(part);
      meshState.add(part);
      const change = meshState.commit(1);
      check(change === null || change.version === meshState.version, 'versions grow by one');
      const gone = new Set([...part.removedServices, ...part.refused.map(({ key }) => key)]);
      for (const { key } of part.services) {
        check(meshState.services.has(key) || gone.has(key), 'it is there');
      }
      for (const { key, unknown } of part.refused) {
        check(!meshState.services.has(key), 'what is refused is not served');
        check(unknown.length > 0, 'and for a reason');
      }
    }
  });
  try {
    reader.push(bytes.subarray(0, bytes.length >> 1));
    reader.push(bytes.subarray(bytes.length >> 1));
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'invalid_input') throw error;
  }
  check(JSON.stringify(DEFAULT_POLICIES) === DEFAULTS, 'nobody writes into the defaults');
}

/** What the proxy takes for granted. */
function checkPart({ services, identities }: Part): void {
  for (const service of services) {
    check(typeof service.key === 'string' && typeof service.address === 'string', 'texts');
    check(service.policies.timeouts.connectMs !== undefined, 'policies are whole');
    for (const port of service.ports) {
      check(port.port >= 1 && port.port <= 65_535, 'a port is one');
      check(port.routes.length > 0, 'there is a route');
      for (const endpoint of port.backend.endpoints) {
        check(endpoint.port >= 1 && endpoint.port <= 65_535, 'a port of an endpoint is one');
        check(typeof endpoint.node === 'string' && endpoint.weight >= 0, 'endpoints are whole');
      }
    }
  }
  for (const { address } of identities) check(typeof address === 'string', 'an address');
}
