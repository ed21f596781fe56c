/**
 * The process of the simulated agents. They speak the real protocol with real tokens, take everything they are sent,
 * acknowledge it at once, and come back when the controller is gone; what is in it they do not look at.
 */

import { connect } from 'node:tls';
import { systemClock } from '../../src/base/clock.ts';
import { FRAME_TYPE, type Frame } from '../../src/discovery/frame.ts';
import {
  CAPABILITIES,
  FORMATS,
  helloFrame,
  type Position,
  readWelcome,
} from '../../src/discovery/hello.ts';
import { acknowledgeFrame, HEARTBEAT, tokenFrame } from '../../src/discovery/message.ts';
import { PAYLOAD_BYTES_MAX } from '../../src/discovery/payload.ts';
import { HEARTBEAT_MS, Wire } from '../../src/discovery/wire.ts';
import { CONTROLLER } from '../../src/model/names.ts';

export interface AgentsOrder {
  readonly port: number;
  /** Certificates to believe, as PEM. */
  readonly ca: string;
  readonly agents: readonly {
    readonly name: string;
    readonly node: string;
    readonly token: string;
  }[];
}

/** Told every second. */
export interface AgentsReport {
  /** That were sent everything on the connection that they have now. */
  readonly synced: number;
  readonly bytes: number;
  /** Why the last connection ended, or ''. */
  readonly lastError: string;
}

const REDIAL_MS = 1_000;
const REPORT_MS = 1_000;

let bytes = 0;
let lastError = '';
const synced = new Set<string>();

process.once('message', (order: AgentsOrder) => {
  for (const agent of order.agents) dial(order, agent, null);
  setInterval(() => {
    process.send?.({ synced: synced.size, bytes, lastError } satisfies AgentsReport);
  }, REPORT_MS);
});
process.once('disconnect', () => process.exit(0));

function dial(
  order: AgentsOrder,
  agent: AgentsOrder['agents'][number],
  has: Position | null,
): void {
  const { port, ca } = order;
  const socket = connect({ host: '127.0.0.1', port, ca, servername: CONTROLLER });
  const wire = new Wire({ socket, clock: systemClock, payloadBytesMax: PAYLOAD_BYTES_MAX });
  let position = has;
  let epoch = '';
  let heart: NodeJS.Timeout | undefined;
  wire.onEnd = (error) => {
    lastError = error?.message ?? lastError;
    clearInterval(heart);
    synced.delete(agent.name);
    socket.destroy();
    setTimeout(() => dial(order, agent, position), REDIAL_MS);
  };
  wire.onFrame = (frame: Frame) => {
    bytes += frame.payload.length;
    if (frame.type === FRAME_TYPE.welcome) {
      ({ epoch } = readWelcome(frame));
      // Whoever has everything is sent nothing.
      if (position?.epoch === epoch) synced.add(agent.name);
    } else if (frame.type === FRAME_TYPE.commit) {
      position = { epoch, version: frame.version };
      synced.add(agent.name);
      wire.send(acknowledgeFrame(frame.version, { failures: [], refused: [] }));
    } else if (frame.type === FRAME_TYPE.askToken) {
      wire.send(tokenFrame(agent.token));
    } else if (frame.type === FRAME_TYPE.goAway) {
      wire.close(null);
    }
  };
  socket.once('secureConnect', () => {
    const { name, node, token } = agent;
    const names = { node, pod: name, build: 'bench' };
    wire.send(helloFrame({ ...names, ...CAPABILITIES, formats: FORMATS, token, resume: position }));
    heart = setInterval(() => wire.send(HEARTBEAT), HEARTBEAT_MS);
  });
}
