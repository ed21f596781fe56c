/** Rules of routes in the language that they are written in. */

import type { TlsRule } from '../model/rule.ts';

export function ruleText(rule: TlsRule): string {
  switch (rule.kind) {
    case 'sni':
      return `HostSNI(\`${rule.name}\`)`;
    case 'alpn':
      return `ALPN(\`${rule.protocol}\`)`;
    case 'not':
      return `!${partText(rule.of)}`;
    case 'all':
      return rule.of.map(partText).join(' && ');
    case 'any':
  }
  return rule.of.map(partText).join(' || ');
}

function partText(rule: TlsRule): string {
  const text = ruleText(rule);
  return rule.kind === 'all' || rule.kind === 'any' ? `(${text})` : text;
}
