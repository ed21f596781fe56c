/** Rules of connections of TLS on the wire: all of it must be known, for a rule without a part takes more than was meant. */

import { MeshError } from '../base/error.ts';
import { isRecord } from '../base/record.ts';
import { RULE_DEPTH_MAX, type TlsRule } from '../model/rule.ts';
import { asFields, listField, textField } from './fields.ts';
import type { WordsOf } from './object-terms.ts';

const KINDS: WordsOf<TlsRule['kind']> = {
  sni: 'first',
  alpn: 'first',
  not: 'first',
  all: 'first',
  any: 'first',
};
const FIELDS: ReadonlySet<string> = new Set(['kind', 'name', 'protocol', 'of']);

/** Adds the names of what is not known here: kinds, and fields of rules. `term` is that of the rule. */
export function addUnknownOfRule(
  value: unknown,
  term: string,
  unknown: Set<string>,
  depth = 0,
): void {
  if (!isRecord(value) || depth > RULE_DEPTH_MAX) return;
  const { kind, of } = value;
  if (typeof kind === 'string' && !Object.hasOwn(KINDS, kind)) unknown.add(`${term}=${kind}`);
  for (const field of Object.keys(value)) if (!FIELDS.has(field)) unknown.add(`${term}.${field}`);
  const parts: readonly unknown[] = Array.isArray(of) ? of : [of];
  for (const part of parts) addUnknownOfRule(part, term, unknown, depth + 1);
}

/** @throws MeshError `invalid_input` when something of it is missing, or it is deeper than anybody writes it */
export function checkRule(value: unknown, depth = 0): void {
  const rule = asFields(value, 'rule');
  if (depth > RULE_DEPTH_MAX) throw new MeshError('invalid_input', '"rule" is too deep');
  switch (rule['kind']) {
    case 'sni':
      textField(rule, 'name');
      return;
    case 'alpn':
      textField(rule, 'protocol');
      return;
    case 'not':
      return checkRule(rule['of'], depth + 1);
    case 'all':
    case 'any':
      if (rule['of'] === undefined) throw new MeshError('invalid_input', '"of" is missing');
      for (const each of listField(rule, 'of')) checkRule(each, depth + 1);
      return;
    default:
      throw new MeshError('invalid_input', '"kind" is not known');
  }
}
