/** Finds the URLs in arguments for curl, so that mesh names in bodies and headers are left alone. */

/** Long and short names of the options of the installed curl that take a value. */
export type CurlOptions = ReadonlySet<string>;

export interface CurlTarget {
  /** As written in the URL, without port. */
  readonly host: string;
  /** As written, or what the scheme implies; 0 when that is not known. */
  readonly port: number;
}

const PORT_OF_SCHEME: Readonly<Record<string, number>> = {
  '': 80,
  http: 80,
  ws: 80,
  https: 443,
  wss: 443,
};

/** Asks the installed curl which of its options take a value; `run` gives the output of a curl with arguments. */
export async function readCurlOptions(
  run: (args: readonly string[]) => Promise<string>,
): Promise<CurlOptions> {
  return parseCurlHelp(await run(['--help', 'all']));
}

/** Reads lines such as ` -H, --header <header/@file>  Pass custom header(s)`. */
export function parseCurlHelp(help: string): CurlOptions {
  const options = new Set<string>();
  for (const line of help.split('\n')) {
    const match = /^ *(?:(-[^-,\s]), )? *(--[\w.-]+) +</.exec(line);
    if (match === null) continue;
    for (const name of match.slice(1)) if (name !== undefined) options.add(name);
  }
  return options;
}

/** Every host and port that curl is told to visit, in order, without repetitions. */
export function curlTargets(args: readonly string[], options: CurlOptions): readonly CurlTarget[] {
  const targets = new Map<string, CurlTarget>();
  for (const url of urlsIn(args, options)) {
    const target = readUrl(url);
    if (target !== null) targets.set(`${target.host}:${target.port}`, target);
  }
  return [...targets.values()];
}

function* urlsIn(args: readonly string[], options: CurlOptions): Iterable<string> {
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '--') {
      yield* args.slice(i + 1);
      return;
    }
    if (!arg.startsWith('-') || arg === '-') {
      yield arg;
    } else if (takesNext(arg, options)) {
      i += 1;
      if (arg === '--url') yield args[i] ?? '';
    }
  }
}

/**
 * The arguments with options of ours: `first` before all, `each` once more after every `--next`, which forgets options.
 * `-q` has an effect only as the very first one.
 */
export function withAdded(
  args: readonly string[],
  options: CurlOptions,
  { first, each }: { readonly first: readonly string[]; readonly each: readonly string[] },
): readonly string[] {
  const [quiet, rest] =
    args[0] === '-q' || args[0] === '--disable' ? [args.slice(0, 1), args.slice(1)] : [[], args];
  const found = [...quiet, ...first];
  for (let i = 0; i < rest.length; i++) {
    const arg = rest[i] ?? '';
    if (arg === '--') return [...found, ...rest.slice(i)];
    found.push(arg);
    if (arg === '--next' || arg === '-:') found.push(...each);
    else if (arg.startsWith('-') && takesNext(arg, options) && i + 1 < rest.length) {
      i += 1;
      found.push(rest[i] ?? '');
    }
  }
  return found;
}

/** `--header`, `-H` and the end of a bundle such as `-sH`; not `-Hx`, which has its value inside. */
function takesNext(arg: string, options: CurlOptions): boolean {
  if (arg.startsWith('--')) return options.has(arg);
  for (let i = 1; i < arg.length; i++) {
    if (options.has(`-${arg[i]}`)) return i === arg.length - 1;
  }
  return false;
}

/** Host and port of a URL with or without a scheme (RFC 3986 §3.2), as curl takes it. */
function readUrl(url: string): CurlTarget | null {
  const match =
    /^(?:([a-z][a-z0-9+.-]*):\/\/)?(?:[^/?#@]*@)?(\[[^\]]*\]|[^:/?#]+)(?::(\d{1,5}))?(?:[/?#]|$)/i.exec(
      url,
    );
  if (match === null) return null;
  const [, scheme = '', host = '', port] = match;
  return {
    host,
    port: port === undefined ? (PORT_OF_SCHEME[scheme.toLowerCase()] ?? 0) : Number(port),
  };
}
