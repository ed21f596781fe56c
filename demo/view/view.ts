/** The terminal view: draws the picture on the alternate screen and turns keys into commands. */

import { emitKeypressEvents } from 'node:readline';
import { styleText } from 'node:util';
import { pictureLines, type Line, type Picture, type Segment } from './lines.ts';

export type Command = 'previous' | 'next' | 'break' | 'heal' | 'quit';

export type Scene = Omit<Picture, 'columns' | 'rows'>;

/** The scene to draw: replaced as a whole, never edited. */
export interface SceneSource {
  current(): Scene;
  /** Returns how to unsubscribe. */
  subscribe(changed: () => void): () => void;
}

/** What the view needs of a terminal to draw on; `process.stdout` is one. */
export type Screen = NodeJS.WritableStream & { readonly columns: number; readonly rows: number };
/** What it needs of a keyboard; `process.stdin` is one. */
export type Keyboard = NodeJS.ReadableStream & {
  setRawMode(isRaw: boolean): unknown;
  unref(): unknown;
};

export interface ViewOptions {
  readonly scenes: SceneSource;
  readonly onCommand: (command: Command) => void;
  readonly color: boolean;
  readonly stdout: Screen;
  readonly stdin: Keyboard;
}

export interface View {
  /** Gives the terminal back as it was. May be called twice. */
  close(): void;
}

/** Alternate screen, so that the person's scroll-back survives, and no cursor. */
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';

export function openView({ scenes, onCommand, color, stdout, stdin }: ViewOptions): View {
  const draw = (): void => {
    const { columns, rows } = stdout;
    const lines = pictureLines({ ...scenes.current(), columns, rows });
    const texts = lines.map((line) => paint(line, color) + CLEAR_LINE);
    stdout.write(HOME + texts.join('\r\n') + CLEAR_BELOW);
  };
  const onKey = (input: string | undefined, key: Key): void => {
    const command = commandOf(input ?? '', key);
    if (command !== null) onCommand(command);
  };
  const unsubscribe = scenes.subscribe(draw);
  emitKeypressEvents(stdin);
  stdin.setRawMode(true);
  stdin.on('keypress', onKey).resume();
  stdout.on('resize', draw).write(ENTER);
  draw();
  let isOpen = true;
  return {
    close() {
      if (!isOpen) return;
      isOpen = false;
      unsubscribe();
      stdin.off('keypress', onKey).pause();
      stdin.setRawMode(false);
      stdin.unref();
      stdout.off('resize', draw).write(LEAVE);
    },
  };
}

function paint(line: Line, color: boolean): string {
  return line.map((segment) => styled(segment, color)).join('');
}

function styled({ text, bold, inverse, color }: Segment, isColored: boolean): string {
  const styles = [
    ...(bold === true ? (['bold'] as const) : []),
    ...(inverse === true ? (['inverse'] as const) : []),
    ...(isColored && color !== undefined ? [color] : []),
  ];
  // The caller has decided about colours: nothing of the environment may overrule it here.
  return styleText(styles, text, { validateStream: false });
}

/** A key as node:readline names it. */
export interface Key {
  readonly name?: string | undefined;
  readonly ctrl?: boolean;
}

/** What a key means, or null. */
export function commandOf(input: string, key: Key): Command | null {
  const { name } = key;
  if (key.ctrl === true) return name === 'c' ? 'quit' : null;
  if (name === 'up' || name === 'left' || input === 'k') return 'previous';
  if (name === 'down' || name === 'right' || input === 'j') return 'next';
  switch (input) {
    case 'b':
      return 'break';
    case 'h':
      return 'heal';
    case 'q':
      return 'quit';
    default:
      return null;
  }
}
