/** Fuzz target of the discovery stream: frames, what is in them, and what becomes of the picture. */

import { encodeFrame, FLAG, FRAME_TYPE } from '../../src/discovery/frame.ts';
import { fuzzStream } from '../../src/discovery/stream.fuzz.ts';
import { exampleBreaker, exampleEndpoint, exampleService } from '../support/model.ts';
import type { FuzzTarget } from './target.ts';

function frame(type: number, value: unknown): Buffer {
  const payload = Buffer.from(JSON.stringify(value));
  return encodeFrame({ type, flags: FLAG.mustUnderstand, version: 3, payload });
}

const HELLO = {
  formats: { min: 1, max: 2 },
  token: 'a.b.c',
  node: 'n',
  pod: 'p',
  build: '1',
  resume: { epoch: 'e', version: 3 },
};
const endpoints = [exampleEndpoint('10.0.0.1')];
const policies = { breaker: exampleBreaker({ openMs: 1, recoveryMs: 1 }) };
const services = [exampleService('a/b', { endpoints, policies })];

export const DISCOVERY_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'discovery',
    seeds: [
      frame(FRAME_TYPE.hello, HELLO),
      frame(FRAME_TYPE.welcome, { format: 1, epoch: 'e', build: '1', synced: true }),
      Buffer.concat([
        frame(FRAME_TYPE.snapshot, {}),
        frame(FRAME_TYPE.part, { services }),
        frame(FRAME_TYPE.part, { removedServices: ['a/b'], identities: [{ address: '10.0.0.2' }] }),
        frame(FRAME_TYPE.commit, { from: 0, parts: 2 }),
      ]),
      frame(FRAME_TYPE.part, {
        policies: [{ retry: { attempts: 3 } }, { balance: { algorithm: 'weighted' } }],
        services: [{ key: 'a/c', policies: 1, ports: [{ port: 80, backend: { id: 'x' } }] }],
      }),
      frame(FRAME_TYPE.part, {
        texts: ['', 'n'],
        sharedColumns: ['node'],
        endpointColumns: ['address', 'port', 'node', 'new'],
        identityColumns: ['address', 'node'],
        identities: [['10.0.0.3', 1]],
        services: [
          { key: 'a/d', ports: [{ port: 1, backend: { id: 'y', endpoints: [['1', 2, 0, 3]] } }] },
        ],
      }),
      frame(FRAME_TYPE.part, {
        ignorable: ['service.note'],
        policies: [{ balance: { locality: 'far' } }],
        services: [
          { key: 'a/e', access: {}, ports: [] },
          { key: 'a/f', note: 'n', ports: [{ port: 1, tls: {}, backend: { id: 'z' } }] },
          { key: 'a/g', policies: 0, ports: [] },
        ],
      }),
      Buffer.concat([
        frame(FRAME_TYPE.acknowledge, { failures: ['port 80'] }),
        frame(FRAME_TYPE.goAway, { reason: 'drain', detail: '' }),
        frame(FRAME_TYPE.token, { token: 'x' }),
      ]),
    ],
    dictionary: [
      '"services":[',
      '"policies":',
      '"ports":',
      '"backend":{',
      '"__proto__":',
      'null',
      '[]',
      '{}',
      '""',
      '-1',
      '1e9',
      '\x00\x00\x00\x02\x04\x80',
      '\x81',
      '\x28\xb5\x2f\xfd',
    ],
    run(input) {
      fuzzStream(input);
    },
  },
];
