/** What a port of a Service says otherwise than its Service: the policies that hold there, and what is wrong with them. */

import type { ObjectRef } from '../../kube/store.ts';
import type { Source } from '../../model/object-reference.ts';
import type { Policies, PolicyName } from '../../model/policy.ts';
import { ANNOTATION_PREFIX } from '../../model/names.ts';
import type { ObjectProblem } from '../object-problem.ts';
import { policiesOf, type ServicePolicies, type SpecTraits } from './policies.ts';
import { printPortKey } from './port-key.ts';
import { type Annotation, type Annotations, annotationsOfPort, AS_THE_SERVICE } from './read.ts';

export interface PortPolicies {
  /** Null where the port says nothing, or nothing that can be used. */
  readonly policies: Policies | null;
  /** What the port itself says. */
  readonly sources: Readonly<Record<string, Source>>;
  readonly findings: readonly ObjectProblem[];
  /** Fields of the Service that its policies come from, too. */
  readonly inherited: ReadonlySet<string>;
}

/** What all ports of a Service start from. */
export interface OfService {
  readonly ref: ObjectRef;
  readonly traits: SpecTraits;
  readonly annotations: Annotations;
  readonly policies: ServicePolicies;
}

const NOTHING: PortPolicies = {
  policies: null,
  sources: {},
  findings: [],
  inherited: new Set(),
};

/** Of what `works` on the port. A policy of the port that does not work out costs what the port says of it, and never what the Service says. */
export function policiesOfPort(
  port: number,
  service: OfService,
  works: (annotation: Annotation) => boolean,
): PortPolicies {
  const said = [...(service.annotations.ports.get(port) ?? [])];
  const own = new Map(said.filter(([, annotation]) => works(annotation)));
  const findings: ObjectProblem[] = [];
  for (;;) {
    if (own.size === 0) return { ...NOTHING, findings };
    const merged = annotationsOfPort(service.annotations, own);
    const read = policiesOf(merged, service.ref, service.traits);
    const told = read.findings.map((finding) => ofPort(finding, port));
    const failed = failuresOf(told, own, service);
    findings.push(...failed.map(({ finding }) => finding));
    if (failed.length > 0) {
      for (const { policy } of failed) forget(own, policy);
      continue;
    }
    const fields = new Set([...own.values()].map(({ field }) => field));
    findings.push(...told.filter(({ field }) => fields.has(field)));
    const all = Object.entries(read.sources);
    const sources = Object.fromEntries(all.filter(([, { field }]) => fields.has(field)));
    // Names of policies are before a dot; what has none is of the protocol.
    const says = Object.keys(sources).some((path) => path.includes('.'));
    if (!says) return { ...NOTHING, sources, findings };
    const inherited = new Set(
      all.map(([, { field }]) => field).filter((each) => !fields.has(each)),
    );
    return { policies: read.policies, sources, findings, inherited };
  }
}

interface Failure {
  readonly policy: PolicyName;
  readonly finding: ObjectProblem;
}

/** What to write is of the port, too. */
function ofPort(finding: ObjectProblem, port: number): ObjectProblem {
  const words = `$1${ANNOTATION_PREFIX}${printPortKey(port, '')}`;
  const remedy = finding.remedy.replace(PLAIN_REMEDY, words);
  return { ...finding, remedy };
}
const PLAIN_REMEDY = new RegExp(`^(add |set )${ANNOTATION_PREFIX.replaceAll('.', '\\.')}`);

/** Errors that are there because of what the port says, each at an annotation of the port. */
function failuresOf(
  findings: readonly ObjectProblem[],
  own: ReadonlyMap<string, Annotation>,
  { annotations, policies }: OfService,
): Failure[] {
  const all = [...own.values()];
  return findings.flatMap((finding): Failure[] => {
    const { severity, field, message } = finding;
    const isOld = policies.findings.some((old) => old.field === field && old.message === message);
    if (severity !== 'error' || isOld) return [];
    const ofService = [...annotations.values.values()].find((each) => each.field === field);
    // What is told at an annotation of the Service is in order but for what the port says beside it.
    const policy = ofService?.row.policy;
    const culprit = all.find((each) => each.field === field || each.row.policy === policy);
    if (culprit === undefined || ofService === undefined || culprit.port === null)
      return culprit === undefined ? [] : failure(culprit, finding);
    const beside = printPortKey(culprit.port, ofService.row.name);
    return failure(culprit, { ...finding, remedy: `write ${ANNOTATION_PREFIX}${beside}, too` });
  });
}

function failure({ row, field, text: value }: Annotation, finding: ObjectProblem): Failure[] {
  if (row.policy === null) return [];
  const [advice = ''] = finding.remedy.split('; until then ');
  const remedy = `${advice}; until then ${AS_THE_SERVICE}`;
  return [{ policy: row.policy, finding: { ...finding, field, value, remedy } }];
}

function forget(own: Map<string, Annotation>, policy: PolicyName): void {
  for (const [name, { row }] of own) if (row.policy === policy) own.delete(name);
}
