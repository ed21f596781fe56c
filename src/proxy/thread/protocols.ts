/** The protocols that a proxy thread speaks, to callers and to endpoints. */

import type { ThreadContext } from '../http/context.ts';
import type { Protocols } from '../http/later-protocol.ts';
import { http1Connector } from '../http1/endpoint.ts';
import { Http2Thread } from '../http2/thread.ts';

export function protocols(context: ThreadContext): Protocols {
  const http1 = http1Connector(context);
  const later = new Http2Thread(context);
  const http2 = later.connector;
  return {
    later,
    connector: {
      acquire: (endpoint, user, repeatable) =>
        (endpoint.http2 ? http2 : http1).acquire(endpoint, user, repeatable),
      dial: (endpoint, user) => (endpoint.http2 ? http2 : http1).dial(endpoint, user),
    },
  };
}
