/**
 * Many streams of gRPC at once, with grpc-js: does what the lines of its standard input say, and answers each with a line of JSON,
 * once no stream has anything more to say to it.
 *
 *   open N CHANNELS   opens N more streams on so many connections; each says something and is answered
 *   ping              each that is open says something and is answered
 *   end               each that is open ends its side, and is ended
 *   begin CHANNELS    makes one call after the other from now on, 8 at a time on each of so many connections
 *   enough            makes no more of them, and waits for those that run
 *
 * A line has how many streams are `open`, how many answers came since the last line, how those that `ended` ended, by code, and what
 * those that failed were `told`.
 */

import { createInterface } from 'node:readline';

const AT_A_TIME = 8;

export async function runStreams(grpc, { TestService }, address) {
  const streams = new Set();
  let answers = 0;
  let ended = {};
  let told = {};
  let calling = false;
  let lanes = [];
  const note = ({ code, details }) => {
    ended[code] = (ended[code] ?? 0) + 1;
    if (code !== grpc.status.OK) told[details] = (told[details] ?? 0) + 1;
  };
  const channels = (count) =>
    Array.from(
      { length: count },
      () =>
        new TestService(address, grpc.credentials.createInsecure(), {
          // Channels share connections otherwise.
          'grpc.use_local_subchannel_pool': 1,
        }),
    );

  class OneStream {
    #call;
    #next = null;

    constructor(client) {
      this.#call = client.FullDuplexCall();
      this.#call.on('data', () => {
        answers++;
        this.#done();
      });
      // Its status says the same.
      this.#call.on('error', () => {});
      this.#call.on('status', (status) => {
        streams.delete(this);
        note(status);
        this.#done();
      });
      streams.add(this);
    }

    #done() {
      this.#next?.();
      this.#next = null;
    }

    /** Until it has an answer, or ended. */
    ask() {
      return this.#do(() => this.#call.write({ response_parameters: [{ size: 100 }] }));
    }

    end() {
      return this.#do(() => this.#call.end());
    }

    #do(what) {
      return new Promise((resolve) => {
        this.#next = resolve;
        what();
      });
    }
  }

  const all = (what) => Promise.all([...streams].map(what));
  const unary = (client) =>
    new Promise((resolve) => {
      const call = client.UnaryCall(
        { response_size: 100, payload: { body: Buffer.alloc(100) } },
        () => {},
      );
      call.on('status', (status) => resolve(note(status)));
    });
  const COMMANDS = {
    open(count, on) {
      const clients = channels(on);
      const opened = Array.from({ length: count }, (_, i) => new OneStream(clients[i % on]));
      return Promise.all(opened.map((stream) => stream.ask()));
    },
    ping: () => all((stream) => stream.ask()),
    end: () => all((stream) => stream.end()),
    begin(on) {
      calling = true;
      const lane = async (client) => {
        // oxlint-disable-next-line no-unmodified-loop-condition -- another command sets it
        while (calling) await unary(client);
      };
      lanes = channels(on).flatMap((client) =>
        Array.from({ length: AT_A_TIME }, () => lane(client)),
      );
    },
    enough() {
      calling = false;
      return Promise.all(lanes);
    },
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, ...numbers] = line.split(' ');
    await COMMANDS[command](...numbers.map(Number));
    process.stdout.write(`${JSON.stringify({ open: streams.size, answers, ended, told })}\n`);
    answers = 0;
    ended = {};
    told = {};
  }
}
