/** Problems of one cause: many objects, one text. People read it once, with the list of the objects; `-o json` has each. */

import { describeReference } from '../model/object-reference.ts';
import type { Problem } from '../model/service.ts';
import { few } from '../install/check/finding.ts';
import { linesOf, plural, problemLines } from './problem-text.ts';

/** Objects from which on their problems are told as one. */
const ALIKE_MIN = 3;
/** Objects of one problem that are named; `-o json` has all. */
export const ALIKE_SHOWN = 5;

/** Each problem to tell, in order, with all that are told with it: itself and those alike. */
export function groupAlike<P extends Problem>(
  problems: readonly P[],
): ReadonlyMap<P, readonly P[]> {
  const byText = Map.groupBy(problems, textKey);
  const groups = new Map<P, readonly P[]>();
  for (const problem of problems) {
    const alike = byText.get(textKey(problem)) ?? [];
    const isMany = new Set(alike.map(({ object }) => object)).size >= ALIKE_MIN;
    if (!isMany) groups.set(problem, [problem]);
    else if (alike[0] === problem) groups.set(problem, alike);
  }
  return groups;
}

/** As `problemLines`, of all that are alike: the values where they differ stand beside the names. */
export function alikeLines(alike: readonly Problem[]): readonly string[] {
  const [first] = alike;
  if (first === undefined) return [];
  if (alike.length === 1) return problemLines(first);
  return [
    ...problemLines({ ...first, ...commonOf(alike), remedy: '' }),
    ...remedyLines(alike),
    few(namesOf(alike), ALIKE_SHOWN),
  ];
}

/** What to do; where the texts name the object, those of the first one stand for all. */
export function remedyLines(alike: readonly Problem[]): readonly string[] {
  const [first] = alike;
  if (first === undefined || first.remedy === '') return [];
  const isSame = alike.every(({ remedy }) => remedy === first.remedy);
  return linesOf(isSame ? first.remedy : `for ${nameOf(first)}: ${first.remedy}`);
}

/** The objects as one, and the value that they share; '' when they do not. */
export function commonOf(alike: readonly Problem[]): Pick<Problem, 'object' | 'value'> {
  const [first] = alike;
  const kind = first?.ref?.kind ?? '';
  const noun = kind.endsWith('s') ? `${kind} object` : kind;
  const count = new Set(alike.map(({ object }) => object)).size;
  return { object: plural(count, noun), value: isOneValue(alike) ? (first?.value ?? '') : '' };
}

/** `shop/web`, with the value where they differ. */
function namesOf(alike: readonly Problem[]): readonly string[] {
  const isSame = isOneValue(alike);
  const names = alike.map((problem) =>
    isSame || problem.value === '' ? nameOf(problem) : `${nameOf(problem)} (${problem.value})`,
  );
  return [...new Set(names)];
}

export function nameOf({ object, ref }: Problem): string {
  return ref === null ? object : describeReference(ref).slice(ref.kind.length + 1);
}

function isOneValue(alike: readonly Problem[]): boolean {
  return new Set(alike.map(({ value }) => value)).size === 1;
}

/** The same for problems that differ in their object and value alone, also where the text names the object. */
function textKey(problem: Problem & { readonly topic?: string }): string {
  const { ref, object, severity, topic = '', field, message, remedy } = problem;
  if (ref === null) return JSON.stringify([object, severity, topic, field, message, remedy]);
  const { kind, namespace, name } = ref;
  const texts = [message, remedy].map((text) => withoutNames(text, [name, namespace]));
  return JSON.stringify([kind, severity, topic, field, ...texts]);
}

function withoutNames(text: string, names: readonly string[]): string {
  // A name is a word of these characters; as a part of another word it is none.
  return text.replaceAll(/[\w.-]*\w/g, (word) => (names.includes(word) ? '…' : word));
}
