/** Changes of fields, as filters have them. */

import type { FieldChange } from '../../src/model/filter.ts';

export function set(name: string, value: string): FieldChange {
  return { action: 'set', name, value };
}

export function add(name: string, value: string): FieldChange {
  return { action: 'add', name, value };
}

export function remove(name: string): FieldChange {
  return { action: 'remove', name, value: '' };
}
