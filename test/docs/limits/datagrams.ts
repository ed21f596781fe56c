/** Limits of the section "Datagrams" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const DATAGRAM_LIMITS: LimitSection = {
  title: 'Datagrams',
  intro: 'Per proxy thread; [sockets](decisions/sockets.md#datagrams) says more.',
  rows: [
    [
      'Largest datagram',
      'It is dropped and counted; none comes that is larger',
      'proxy/net/datagram.ts DATAGRAM_BYTES_MAX',
    ],
    [
      'Datagrams that come by one call',
      'Others have their turn',
      'proxy/net/system/kernel-interface.ts DATAGRAMS_MAX',
    ],
    [
      'Answers that leave by one call',
      'Those so far leave before the turn is over',
      'proxy/net/system/kernel-interface.ts MESSAGES_MAX',
    ],
    ['Chains of a table of callers', 'They become longer', 'proxy/net/peer-map.ts CHAINS_MAX'],
    [
      'Kinds of errors of a socket that wait to be told',
      'The others are not told',
      'proxy/net/system/owed-errors.ts KINDS_MAX',
    ],
    [
      'Events of an error that the kernel does not tell',
      'It is asked to keep none for this socket',
      'proxy/net/system/datagram-socket.ts VAIN_MAX',
    ],
    [
      'Bytes that a socket reads before it asks how many datagrams the kernel has dropped',
      'It asks; each datagram counts for 512 more',
      'proxy/net/system/datagram-io.ts UNASKED_MAX',
    ],
    [
      'Addresses with a socket of their own, with sockets of the runtime and a wildcard address',
      'The others share one, which answers from the address that the kernel chooses',
      'proxy/net/runtime/runtime-datagram-listener.ts ADDRESSES_MAX',
    ],
    [
      'Bytes that wait in a socket of the runtime for datagrams',
      'What comes then is dropped and counted',
      'proxy/net/runtime/runtime-datagram-socket.ts QUEUE_BYTES_MAX',
    ],
  ],
};
