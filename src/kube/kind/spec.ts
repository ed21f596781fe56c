/** What the mesh knows of one kind of object: where the API has it, how it is read, and what its fields do. */

import type { FieldUse } from '../field-use.ts';
import type { Fields } from '../fields.ts';
import type { Meta } from '../meta.ts';

export interface KindSpec<T extends { readonly kind: string; readonly meta: Meta }> {
  readonly kind: T['kind'];
  /** '' is the core group. */
  readonly group: string;
  /** Those that are read, the best first. */
  readonly versions: readonly [string, ...string[]];
  readonly plural: string;
  readonly isNamespaced: boolean;
  /** A CRD that clusters may lack, and that comes and goes. */
  readonly isOptional: boolean;
  /** Without the right to read it, all else goes on. */
  readonly mayBeRefused?: true;
  /** No value of it is in a finding, and it is watched in the namespaces alone that are named for it. */
  readonly isSecret?: true;
  /** Leaves out what is not to be sent here. */
  readonly fieldSelector?: string;
  /** The same by label. */
  readonly labelSelector?: string;
  /** Of the metadata only these labels are kept, and no annotation: both change with every event. Absent: all, and those of the mesh. */
  readonly keptLabels?: readonly string[];
  /** An object of a later one of the versions as one of the first. */
  readonly upgrade?: (raw: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;
  readonly read: (object: Fields) => T;
  readonly fields: FieldUse;
}
