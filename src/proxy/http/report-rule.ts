/** Reports that a message broke a rule, and who sent it. */

import { blamesEndpoint, type FailureReason } from '../../model/failure.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { PortState } from '../table/table.ts';
import type { BrokenRules } from './broken-rules.ts';
import type { Rule } from '../head/rule.ts';

/** `endpoint` is the one that was asked last; it is named only when the failure is its own. */
export function reportRule(
  rules: BrokenRules,
  caller: { readonly source: { readonly address: string }; readonly port: PortState },
  broken: {
    readonly rule: Rule;
    readonly reason: FailureReason;
    readonly endpoint: EndpointState | null;
  },
): void {
  const { rule, reason, endpoint } = broken;
  rules.report({
    rule,
    reason,
    service: caller.port.service.service.key,
    caller: caller.source.address,
    endpoint: endpoint !== null && blamesEndpoint(reason) ? endpoint.key : '',
  });
}
