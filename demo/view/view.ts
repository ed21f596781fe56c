/** The terminal view: draws the picture with ink and turns keys into commands. */

import { Box, render, Text, useInput, useWindowSize } from 'ink';
import { createElement as h, useSyncExternalStore, type ReactElement } from 'react';
import { pictureLines, type Line, type Picture, type Segment } from './lines.ts';

export type Command = 'previous' | 'next' | 'break' | 'heal' | 'quit';

export type Scene = Omit<Picture, 'columns' | 'rows'>;

/** The scene to draw: replaced as a whole, never edited. */
export interface SceneSource {
  current(): Scene;
  /** Returns how to unsubscribe. */
  subscribe(changed: () => void): () => void;
}

export interface ViewOptions {
  readonly scenes: SceneSource;
  readonly onCommand: (command: Command) => void;
  readonly color: boolean;
  readonly stdout?: NodeJS.WritableStream;
  readonly stdin?: NodeJS.ReadableStream;
}

export interface View {
  /** Gives the terminal back as it was. May be called twice. */
  close(): Promise<void>;
  /** Settles when the view is closed; rejects when drawing fails. */
  readonly ended: Promise<void>;
}

/** Draws on the alternate screen, so that the person's scroll-back survives. */
export function openView(options: ViewOptions): View {
  const instance = render(h(App, options), {
    ...(options.stdout && { stdout: options.stdout }),
    ...(options.stdin && { stdin: options.stdin }),
    exitOnCtrlC: false,
    patchConsole: false,
    interactive: true,
    alternateScreen: true,
    incrementalRendering: true,
    maxFps: 10,
  });
  const ended = instance.waitUntilExit().then(() => {});
  return {
    ended,
    async close() {
      instance.unmount();
      await ended;
    },
  };
}

function App({ scenes, onCommand, color }: ViewOptions): ReactElement {
  const scene = useSyncExternalStore(
    (changed) => scenes.subscribe(changed),
    () => scenes.current(),
  );
  const { columns, rows } = useWindowSize();
  useInput((input, key) => {
    // Keys typed quickly arrive together.
    const keys = input.length > 1 ? input.split('') : [input];
    for (const one of keys) {
      const command = commandOf(one, key);
      if (command !== null) onCommand(command);
    }
  });
  const lines = pictureLines({ ...scene, columns, rows });
  return h(
    Box,
    { flexDirection: 'column' },
    ...lines.map((line, index) => h(Row, { key: index, line, color })),
  );
}

function Row({ line, color }: { readonly line: Line; readonly color: boolean }): ReactElement {
  // A row without text would collapse to no height.
  const segments: Line = line.length === 0 ? [{ text: ' ' }] : line;
  return h(
    Text,
    { wrap: 'truncate' },
    ...segments.map((segment, index) =>
      h(Text, { key: index, ...styleOf(segment, color) }, segment.text),
    ),
  );
}

function styleOf(segment: Segment, color: boolean): Record<string, string | boolean> {
  return {
    ...(segment.bold && { bold: true }),
    ...(segment.inverse && { inverse: true }),
    ...(color && segment.color !== undefined && { color: segment.color }),
  };
}

interface Key {
  readonly upArrow: boolean;
  readonly downArrow: boolean;
  readonly leftArrow: boolean;
  readonly rightArrow: boolean;
  readonly ctrl: boolean;
}

/** What a key means, or null. */
export function commandOf(input: string, key: Key): Command | null {
  if (key.upArrow || key.leftArrow || input === 'k') return 'previous';
  if (key.downArrow || key.rightArrow || input === 'j') return 'next';
  if (key.ctrl) return input === 'c' ? 'quit' : null;
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
