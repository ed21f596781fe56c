/** The first frame of either side. Its form never changes, so that any two versions can find the format they share. */

import { CARRIED } from '../model/service.ts';
import { FLAG, FRAME_TYPE, type Frame } from './frame.ts';
import { asFields, countField, flagField, listField, textField, type Fields } from './fields.ts';
import { readPlain, valueFrame } from './payload.ts';
import { UNDERSTOOD } from './vocabulary.ts';

/** Versions of the format that one side speaks, both ends included. */
export interface FormatRange {
  readonly min: number;
  readonly max: number;
}

/** What this version of maesh speaks. */
export const FORMATS: FormatRange = { min: 1, max: 1 };

/** Largest hello: a token, three names. */
export const HELLO_BYTES_MAX = 16_384;

/** Who an agent says it is; only for people to read. Whom to believe is what its token says. */
export interface AgentNames {
  readonly node: string;
  readonly pod: string;
  readonly build: string;
}

/** A place in the stream of one process of the controller. */
export interface Position {
  /** Of the process: another one counts its versions anew. */
  readonly epoch: string;
  readonly version: number;
}

/** What an agent can do with what it is sent. */
export interface Capabilities {
  /** What it carries, as `carriageOf` names it. */
  readonly carries: readonly string[];
  /** What it knows of what must be known to serve a Service, as `vocabulary.ts` names it. */
  readonly understands: readonly string[];
}

/** Of this version of maesh. */
export const CAPABILITIES: Capabilities = { carries: CARRIED, understands: UNDERSTOOD };
/** Of an agent that does not say: the first ones did not. */
export const FIRST_CAPABILITIES: Capabilities = { carries: ['http'], understands: [] };

export interface Hello extends AgentNames, Capabilities {
  readonly formats: FormatRange;
  /** Token of a ServiceAccount. Never logged. */
  readonly token: string;
  /** What the agent has, if anything. */
  readonly resume: Position | null;
}

export interface Welcome {
  readonly format: number;
  readonly epoch: string;
  readonly build: string;
  /** The controller has read the whole cluster: if it sends nothing, there is nothing. */
  readonly synced: boolean;
  /** For how long the controller has not heard of Pods, in milliseconds; 0 while it hears of them. */
  readonly ageMs: number;
}

/** The highest version that both speak, or null. */
export function commonFormat(a: FormatRange, b: FormatRange): number | null {
  const format = Math.min(a.max, b.max);
  return format >= Math.max(a.min, b.min) ? format : null;
}

const NAME_LENGTH_MAX = 512;
const CAPABILITIES_MAX = 256;
const CAPABILITY_LENGTH_MAX = 100;

export function helloFrame(hello: Hello): Buffer {
  return valueFrame({ type: FRAME_TYPE.hello, flags: FLAG.mustUnderstand, version: 0 }, hello);
}

/** @throws MeshError `invalid_input` */
export function readHello(frame: Frame): Hello {
  const fields = asFields(readPlain(frame), 'hello');
  const { resume } = fields;
  return {
    carries: readCapabilities(fields, 'carries'),
    understands: readCapabilities(fields, 'understands'),
    formats: readFormats(asFields(fields['formats'], 'formats')),
    token: textField(fields, 'token', undefined, HELLO_BYTES_MAX),
    node: textField(fields, 'node', '', NAME_LENGTH_MAX),
    pod: textField(fields, 'pod', '', NAME_LENGTH_MAX),
    build: textField(fields, 'build', '', NAME_LENGTH_MAX),
    resume: resume === undefined || resume === null ? null : readPosition(resume),
  };
}

function readCapabilities(fields: Fields, name: keyof Capabilities): readonly string[] {
  if (fields[name] === undefined) return FIRST_CAPABILITIES[name];
  return listField(fields, name)
    .slice(0, CAPABILITIES_MAX)
    .map((value) => String(value).slice(0, CAPABILITY_LENGTH_MAX));
}

function readFormats(fields: Fields): FormatRange {
  return { min: countField(fields, 'min'), max: countField(fields, 'max') };
}

/** @throws MeshError `invalid_input` */
export function readPosition(value: unknown): Position {
  const fields = asFields(value, 'resume');
  return {
    epoch: textField(fields, 'epoch', undefined, NAME_LENGTH_MAX),
    version: countField(fields, 'version'),
  };
}

export function welcomeFrame(welcome: Welcome): Buffer {
  return valueFrame({ type: FRAME_TYPE.welcome, flags: FLAG.mustUnderstand, version: 0 }, welcome);
}

/** @throws MeshError `invalid_input` */
export function readWelcome(frame: Frame): Welcome {
  const fields = asFields(readPlain(frame), 'welcome');
  return {
    format: countField(fields, 'format'),
    epoch: textField(fields, 'epoch', undefined, NAME_LENGTH_MAX),
    build: textField(fields, 'build', '', NAME_LENGTH_MAX),
    // Who does not say so may have nothing because it knows nothing yet.
    synced: flagField(fields, 'synced', false),
    ageMs: countField(fields, 'ageMs', 0),
  };
}
