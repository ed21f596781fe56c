/** The rules that Kubernetes has for names (RFC 1035, RFC 1123, RFC 6335). */

/** One rule: how long a name may be, what it is made of, and the sentence that says so. */
export interface NameRule {
  readonly lengthMax: number;
  readonly pattern: RegExp;
  readonly text: string;
}

/** Services and namespaces: one label of a DNS name (RFC 1123). */
export const LABEL: NameRule = {
  lengthMax: 63,
  pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
  text: 'lower-case letters, digits and "-", beginning and ending with a letter or digit, at most 63 characters',
};

/** Pods, nodes and most other objects: DNS labels joined by dots (RFC 1123). */
export const SUBDOMAIN: NameRule = {
  lengthMax: 253,
  pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
  text: 'lower-case letters, digits, "-" and ".", beginning and ending with a letter or digit, at most 253 characters',
};

/** Container ports and what refers to them (RFC 6335 §5.1). */
export const PORT_NAME: NameRule = {
  lengthMax: 15,
  pattern: /^(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/,
  text: 'lower-case letters, digits and single "-" inside, at least one letter, at most 15 characters',
};

/** True when `name` keeps the rule. */
export function isName(name: string, rule: NameRule): boolean {
  return name.length <= rule.lengthMax && rule.pattern.test(name);
}
