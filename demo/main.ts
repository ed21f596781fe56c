/** `npm start`: the demo with a terminal view, with plain lines, or as a check of ten seconds. */

import { systemClock as clock } from '../src/base/clock.ts';
import type { BoardEvent } from './board.ts';
import { reportLines } from './check/report.ts';
import { runCheck } from './check/run.ts';
import { startDemo, type Demo } from './demo.ts';
import { DemoError } from './error.ts';
import { Live } from './live.ts';
import { plainEvent, plainLines } from './plain.ts';
import { openView } from './view/view.ts';

const HELP = `npm start                 the demo: a shop, the mesh in front of it, live traffic and a terminal view
npm start -- --plain      the same with plain lines (also without a terminal)
npm start -- --check      ten seconds of it, then pass or fail for each expected number, and why; exit code 0 or 1
`;

const OPTIONS = new Set(['--plain', '--check', '--help', '-h']);

/** A person asked to leave: no failure. */
class Leave extends Error {}

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => !OPTIONS.has(arg));
  if (unknown !== undefined) {
    process.stderr.write(`demo: Cannot read the option "${unknown}": try npm start -- --help\n`);
    return 2;
  }
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  const left = whenLeft();
  const isCheck = args.includes('--check');
  const starting = startDemo({ clock, spells: !isCheck, onProgress: say });
  try {
    const demo = await Promise.race([starting, left]);
    const work = isCheck ? check(demo) : live(demo, args.includes('--plain'));
    return await Promise.race([work, left, broken(demo)]);
  } catch (error) {
    if (error instanceof Leave) return isCheck ? 1 : 0;
    process.stderr.write(`demo: ${error instanceof DemoError ? error.message : stackOf(error)}\n`);
    return 1;
  } finally {
    closeView();
    await starting.then(
      (demo) => demo.stop(),
      () => {},
    );
  }
}

/** Gives the terminal back; replaced while a view is open. */
let closeView = (): void => {};

async function check(demo: Demo): Promise<number> {
  const lines = await runCheck(demo, clock, say);
  say('');
  for (const line of reportLines(lines, hasColor())) say(line);
  return lines.every((line) => line.isGood) ? 0 : 1;
}

async function live(demo: Demo, isPlain: boolean): Promise<number> {
  const session = new Live(demo, clock);
  session.start();
  if (isPlain || !process.stdout.isTTY || !process.stdin.isTTY) {
    const stop = printPlain(session);
    closeView = () => {
      stop();
      session.end();
    };
  } else {
    const view = openView({
      scenes: session,
      onCommand: (command) => session.obey(command),
      color: hasColor(),
      stdout: process.stdout,
      stdin: process.stdin,
    });
    // Whatever ends the process: the person gets the terminal back.
    process.once('exit', () => view.close());
    closeView = () => {
      session.end();
      view.close();
    };
  }
  await session.quit;
  closeView();
  closeView = () => {};
  say('Closing the shop');
  return 0;
}

function printPlain(session: Live): () => void {
  say(`By hand: ${session.current().hint}`);
  let last: BoardEvent | undefined;
  const timer = clock.every(1_000, () => {
    const { board, elapsedMs } = session.current();
    for (const line of plainLines(board, elapsedMs)) say(line);
  });
  const unsubscribe = session.subscribe(() => {
    const { events } = session.current().board;
    const fresh = last === undefined ? events : events.slice(events.lastIndexOf(last) + 1);
    for (const event of fresh) say(plainEvent(event, session.startMs));
    last = events.at(-1);
  });
  return () => {
    timer.cancel();
    unsubscribe();
  };
}

async function broken(demo: Demo): Promise<never> {
  throw await demo.failed;
}

/** Rejects with `Leave` on the first signal, or when nobody reads the output any more. */
function whenLeft(): Promise<never> {
  const left = new Promise<never>((_resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      let isAgain = false;
      process.on(signal, () => {
        // Whoever asks twice does not want to wait; the mesh ends by itself once its parent is gone.
        if (isAgain) process.exit(1);
        isAgain = true;
        reject(new Leave(signal));
      });
    }
    process.stdout.on('error', () => reject(new Leave('output closed')));
  });
  left.catch(() => {});
  return left;
}

function hasColor(): boolean {
  return process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

process.exitCode = await main(process.argv.slice(2));
