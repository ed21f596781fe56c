/** A process of callers of TCP that say nothing until they are told to. It ends when nobody tells it anything any more. */

import { once } from 'node:events';
import net from 'node:net';

export interface IdleCallersMessage {
  /** So many, each of whom has been greeted when that is answered. */
  readonly open?: { readonly host: string; readonly port: number; readonly count: number };
  /** All of them say this line; answered when each has had a line back, with all that came. */
  readonly say?: string;
  readonly close?: true;
}

export type IdleCallersAnswer = 'done' | { readonly heard: readonly string[] };

const AT_A_TIME = 100;
const sockets: net.Socket[] = [];

async function line(socket: net.Socket): Promise<string> {
  let text = '';
  while (!text.endsWith('\n')) {
    // oxlint-disable-next-line no-await-in-loop -- one read after the other
    const [data] = (await once(socket, 'data')) as [Buffer];
    text += data.toString('latin1');
  }
  return text;
}

async function open({ host, port, count }: NonNullable<IdleCallersMessage['open']>): Promise<void> {
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const socket = net.connect({ host, port });
      sockets.push(socket);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await line(socket);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, one));
}

async function answerTo({ open: wanted, say, close }: IdleCallersMessage): Promise<void> {
  if (wanted !== undefined) await open(wanted);
  const answers = say === undefined ? [] : sockets.map((socket) => line(socket));
  for (const socket of say === undefined ? [] : sockets) socket.write(`${say}\n`);
  const heard = [...new Set(await Promise.all(answers))];
  if (close === true) for (const socket of sockets.splice(0)) socket.destroy();
  const answer: IdleCallersAnswer = say === undefined ? 'done' : { heard };
  process.send?.(answer);
}

// What breaks on the way ends the process: whoever started it waits for an answer.
process.on('message', (message: IdleCallersMessage) => void answerTo(message));
process.on('disconnect', () => process.exit());
