/** Turns settings into command-line options and back into what the user gave. */

import { Option, type Command } from 'commander';

import { variableOf } from './setting-reader.ts';
import type { Setting } from './setting.ts';
import { PATH } from './value.ts';

/**
 * Adds a flag for each setting; values stay text, so that all errors are reported together. With `manyPaths` a list of
 * paths may follow one flag (`-f manifests/*.yaml`), which suits commands without other arguments.
 */
export function addSettings(
  command: Command,
  settings: readonly Setting<unknown>[],
  { manyPaths = false } = {},
): void {
  for (const setting of settings) {
    const dots = manyPaths && setting.isList && setting.kind === PATH ? '...' : '';
    for (const option of optionsOf(setting, dots)) command.addOption(option);
  }
}

/** The flags that were given, by name of the setting. */
export function givenFlags(
  command: Command,
  settings: readonly Setting<unknown>[],
): ReadonlyMap<string, readonly string[]> {
  const values: Record<string, unknown> = command.opts();
  const given = new Map<string, readonly string[]>();
  for (const setting of settings) {
    const value = values[attributeOf(setting.name)];
    if (typeof value === 'string' || typeof value === 'boolean') {
      given.set(setting.name, [String(value)]);
    } else if (Array.isArray(value)) {
      given.set(setting.name, value.map(String));
    }
  }
  return given;
}

function optionsOf(setting: Setting<unknown>, dots: string): readonly Option[] {
  const short = setting.short === '' ? '' : `-${setting.short}, `;
  const { placeholder } = setting.kind;
  const isSwitch = placeholder === '';
  const flags = isSwitch
    ? `--${setting.name}`
    : `${short}--${setting.name} <${placeholder}${dots}>`;
  const byDefault = setting.default === '' ? '' : `, default ${setting.default}`;
  const textOf = (doc: string): string =>
    `${doc.replaceAll('`', '')} (${variableOf(setting.name)}${byDefault})`;
  const text = textOf(setting.doc);
  const group = `${setting.group}:`;
  const option = new Option(flags, text).helpGroup(group);
  if (setting.isList) option.argParser(collect);
  if (!isSwitch) return [option];
  // Either way of a switch may be needed to overrule a variable or the file; help shows the one that changes something.
  const negation = new Option(
    `--no-${setting.name}`,
    `${(setting.offDoc ?? setting.doc).replaceAll('`', '')} (${variableOf(setting.name)}=false)`,
  ).helpGroup(group);
  option.hideHelp(setting.default === 'true');
  negation.hideHelp(setting.default === 'false');
  return [option, negation];
}

function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}

function attributeOf(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
