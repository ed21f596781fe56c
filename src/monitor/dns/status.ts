/** How the resolver of this pod answers for a mesh domain. */

/** `works`: the mesh answers. `foreign`: somebody else answers for this domain. The others say how it fails. */
export type ProbeState =
  | 'unknown'
  | 'works'
  | 'not-forwarded'
  | 'foreign'
  | 'no-answer'
  | 'failed-behind'
  | 'refused'
  | 'error';

export interface DomainStatus {
  readonly domain: string;
  readonly state: ProbeState;
  /** The resolver's own word for what failed, or ''. */
  readonly detail: string;
}
