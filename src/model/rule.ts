/** What must hold for a route to take something, as plain data that crosses threads and wires. */

/** `all` of nothing always holds, `any` of nothing never. */
export type Rule<Leaf> =
  | Leaf
  | { readonly kind: 'not'; readonly of: Rule<Leaf> }
  | { readonly kind: 'all' | 'any'; readonly of: readonly Rule<Leaf>[] };

/** How deep rules may be inside each other: deeper than their grammar lets anybody write. */
export const RULE_DEPTH_MAX = 200;

/** What a caller of TLS says in its first message (ClientHello), before anything is secret. */
export type TlsLeaf =
  /** It asks for this server: `a.example`; `*.a.example` stands for names with one label more. */
  | { readonly kind: 'sni'; readonly name: string }
  /** It offers this protocol, each byte a character. */
  | { readonly kind: 'alpn'; readonly protocol: string };

export type TlsRule = Rule<TlsLeaf>;
