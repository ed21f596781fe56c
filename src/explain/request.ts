/** A request as the bytes that a client would send. */

/** One request in words; nothing in it is checked here, that is the work of the parser. */
export interface PlainRequest {
  readonly method: string;
  readonly target: string;
  /** Goes into the Host field, unless `fields` have one. */
  readonly host: string;
  /** `Name: value`, in order. */
  readonly fields: readonly string[];
  /** Becomes Content-Length, unless `fields` say how long the body is; 0 is no body. */
  readonly bodyBytes: number;
}

/** The head of the request, HTTP/1.1. */
export function renderHead(request: PlainRequest): Buffer {
  const { method, target, host, fields, bodyBytes } = request;
  const lines = [`${method} ${target} HTTP/1.1`];
  if (!names(fields).includes('host')) lines.push(`Host: ${host}`);
  lines.push(...fields);
  const isFramed = names(fields).some((name) => FRAMING.has(name));
  if (bodyBytes > 0 && !isFramed) lines.push(`Content-Length: ${bodyBytes}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);

function names(fields: readonly string[]): readonly string[] {
  return fields.map((field) => field.slice(0, Math.max(field.indexOf(':'), 0)).toLowerCase());
}
