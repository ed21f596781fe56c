/** The scripts of `maesh completion`. Pure. */

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

interface CompletedOption {
  /** `-f` and `--file`. */
  readonly names: readonly string[];
  readonly text: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

/** One command as a shell completes it. */
export interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletedOption[];
  /** What its arguments may be, where they are a few words. */
  readonly words: readonly string[];
}

export function renderCompletion(shell: Shell, commands: readonly Completed[]): string {
  switch (shell) {
    case 'bash':
      return bash(commands);
    case 'zsh':
      return zsh(commands);
    case 'fish':
      return fish(commands);
    default:
      return shell satisfies never;
  }
}

/** Files where nothing else is known. */
function bash(commands: readonly Completed[]): string {
  return `# bash completion of maesh
_maesh() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W ${quoted(commands.map(({ name }) => name).join(' '))} -- "$cur"))
    return
  fi
  case "\${COMP_WORDS[1]} $prev" in
${commands.flatMap(bashValues).join('')}  esac
  if [ -n "$words" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${commands.map(bashWords).join('')}  esac
  case "$cur" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -W "\${words//-[^ ]*/}" -- "$cur") $(compgen -f -- "$cur")) ;;
  esac
}
complete -o filenames -F _maesh maesh
`;
}

function bashValues({ name, options }: Completed): readonly string[] {
  return options
    .filter(({ choices }) => choices.length > 0)
    .map(({ names, choices }) => {
      const patterns = names.map((each) => quoted(`${name} ${each}`)).join(' | ');
      return `    ${patterns}) words=${quoted(choices.join(' '))} ;;\n`;
    });
}

function bashWords({ name, options, words }: Completed): string {
  const all = [...words, ...options.flatMap(({ names }) => names)];
  return `    ${name}) words=${quoted(all.join(' '))} ;;\n`;
}

function zsh(commands: readonly Completed[]): string {
  const named = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}\n`);
  return `#compdef maesh
_maesh() {
  local -a commands
  commands=(
${named.join('')}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case $words[2] in
${commands.map(zshCase).join('')}  esac
}
if [ "$funcstack[1]" = _maesh ]; then
  _maesh "$@"
else
  compdef _maesh maesh
fi
`;
}

function zshCase({ name, options, words }: Completed): string {
  const specs = options.flatMap(({ names, text, takesValue, choices }) => {
    const value = choices.length > 0 ? `:value:(${choices.join(' ')})` : ':value:_files';
    return names.map((each) => quoted(`*${each}[${zshText(text)}]${takesValue ? value : ''}`));
  });
  const rest = words.length > 0 ? `*: :(${words.join(' ')})` : '*: :_files';
  return `    ${name}) shift words; (( CURRENT-- )); _arguments ${[...specs, quoted(rest)].join(' ')} ;;\n`;
}

/** Brackets end a description, colons a part of it. */
function zshText(text: string): string {
  return text.replaceAll(/[[\]:]/g, ' ');
}

function fish(commands: readonly Completed[]): string {
  const lines = commands.flatMap(({ name, summary, options, words }) => {
    const inside = `-n ${quoted(`__fish_seen_subcommand_from ${name}`)}`;
    return [
      `complete -c maesh -f -n __fish_use_subcommand -a ${name} -d ${fishQuoted(summary)}`,
      ...words.map((word) => `complete -c maesh -f ${inside} -a ${word}`),
      ...options.map(({ names, text, takesValue, choices }) => {
        const flags = names.map((each) =>
          each.startsWith('--') ? `-l ${each.slice(2)}` : `-s ${each.slice(1)}`,
        );
        const values =
          choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : takesValue ? ' -r' : '';
        return `complete -c maesh ${inside} ${flags.join(' ')}${values} -d ${fishQuoted(text)}`;
      }),
    ];
  });
  return `# fish completion of maesh\n${lines.join('\n')}\n`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, (each) => `\\${each}`)}'`;
}
