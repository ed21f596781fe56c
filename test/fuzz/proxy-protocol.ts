/** Fuzz target of the PROXY protocol's headers. */

import {
  headerOf,
  ownHeader,
  UNKNOWN,
  unknownHeader,
} from '../../src/proxy/net/proxy-protocol/header.ts';
import {
  parseProxyHeader,
  PROXY_HEADER_BYTES_MAX,
} from '../../src/proxy/net/proxy-protocol/parse.ts';
import { type FuzzTarget, invariant } from './target.ts';

const V4 = { address: '192.0.2.7', port: 4_711, toAddress: '10.9.0.1', toPort: 5_432 };
const V6 = { address: '2001:db8::7', port: 1, toAddress: '::ffff:10.0.0.1', toPort: 65_535 };
const HEADERS = [V4, V6].flatMap((origin) => [headerOf('v1', origin), headerOf('v2', origin)]);
/** Two TLVs behind an address of IPv4, one of them a checksum that is wrong. */
const TLVS = Buffer.from(
  '0d0a0d0a000d0a515549540a21110016c00002070a09000112671538020000030004aaaaaaaa',
  'hex',
);

const SEEDS = [...HEADERS, ownHeader('v1'), ownHeader('v2'), unknownHeader('v2'), TLVS].map(
  (each) => Buffer.concat([each, Buffer.from('GET / HTTP/1.1\r\n\r\n')]),
);
const DICTIONARY = [
  'PROXY ',
  'TCP4 ',
  'TCP6 ',
  'UNKNOWN',
  '\r\n',
  ' 65535',
  ' 65536',
  '::ffff:1.2.3.4 ',
  '\x0d\x0a\x0d\x0a\x00\x0d\x0aQUIT\x0a',
  '\x21\x11\x00\x0c',
  '\x21\x21\x00\x24',
  '\x20\x00\x00\x00',
  '\x03\x00\x04',
];
/** The longest one of version 1. */
const V1_BYTES_MAX = 107;

/** What is read of the whole is read of any part that has the header; and what is none of a part is none of the whole. */
function check(input: Buffer): void {
  const whole = parseProxyHeader(input, input.length);
  for (let length = 0; length < input.length; length++) {
    const part = parseProxyHeader(input, length);
    if (part === null) return invariant(whole === null, 'more of what is no header became one');
    if (part !== 'more')
      return invariant(JSON.stringify(part) === JSON.stringify(whole), 'more bytes changed it');
  }
  if (whole === null || whole === 'more') {
    const isLong =
      input.length >= PROXY_HEADER_BYTES_MAX || (input[0] === 0x50 && input.length >= V1_BYTES_MAX);
    return invariant(whole === null || !isLong, 'it waits for more than there may be');
  }
  invariant(whole.bytes <= input.length, 'it ends behind its end');
  if (whole.origin === null || whole.origin === UNKNOWN) return;
  // It can be said again, and means the same.
  for (const version of ['v1', 'v2'] as const) {
    const again = Buffer.from(headerOf(version, whole.origin));
    const read = parseProxyHeader(again, again.length);
    invariant(
      read !== null && read !== 'more' && read.bytes === again.length,
      'it is not read back',
    );
    const { origin } = read;
    invariant(origin !== null && origin !== UNKNOWN, 'it says nothing');
    const isSame = origin.port === whole.origin.port && origin.toPort === whole.origin.toPort;
    invariant(isSame, 'it means something else');
  }
}

export const PROXY_PROTOCOL_TARGETS: readonly FuzzTarget[] = [
  { name: 'proxy-protocol', seeds: SEEDS, dictionary: DICTIONARY, run: check },
];
