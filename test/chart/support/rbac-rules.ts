/** Every rule of the chart as an entry of docs/rbac.md: who may do what, and the comment above it as the reason. */

import { isMap, isScalar, isSeq, parseAllDocuments, type Document } from 'yaml';

import type { Rule } from './chart.ts';

interface DescribedRule {
  readonly where: string;
  readonly verbs: string;
  readonly resources: string;
  /** Empty when the rule holds for all objects. */
  readonly names: string;
  readonly why: string;
}

/** Rules by ServiceAccount, in the order of the chart. */
export function rbacRules(rendered: string): Map<string, DescribedRule[]> {
  const rules = new Map<string, DescribedRule[]>();
  for (const document of parseAllDocuments(rendered)) {
    const kind = document.get('kind');
    if (kind !== 'Role' && kind !== 'ClusterRole') continue;
    const name = String(document.getIn(['metadata', 'name'])).replace(/-(dns|secrets)$/, '');
    const list = rules.get(name) ?? [];
    rules.set(name, [...list, ...rulesOf(document, whereOf(document))]);
  }
  return rules;
}

function whereOf(document: Document): string {
  if (document.get('kind') === 'ClusterRole') return 'In the whole cluster';
  const namespace = String(document.getIn(['metadata', 'namespace']));
  return namespace === 'maesh' ? 'In its namespace' : `In \`${namespace}\``;
}

function rulesOf(document: Document, where: string): DescribedRule[] {
  const rules = document.get('rules', true);
  if (!isSeq(rules)) throw new Error('a role without rules');
  return rules.items.map((item, index) => {
    if (!isMap(item)) throw new Error('a rule that is no map');
    // The parser gives the comment above the first item to the list, or to the first key of an item.
    const [first] = item.items;
    const above = item.commentBefore ?? (isScalar(first?.key) ? first.key.commentBefore : null);
    const comment = above ?? (index === 0 ? rules.commentBefore : null) ?? '';
    const rule = item.toJS(document) as Rule;
    const resources = rule.apiGroups.flatMap((group) =>
      rule.resources.map((resource) => `\`${resource}${group && `.${group}`}\``),
    );
    const names = (rule.resourceNames ?? []).map((each) => `\`${each}\``);
    return {
      where,
      verbs: rule.verbs.join(', '),
      resources: resources.join(', '),
      names: names.join(', '),
      why: comment.replaceAll('\n', '').trim(),
    };
  });
}
