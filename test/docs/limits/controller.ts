/** Limits of the section "The controller" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const CONTROLLER_LIMITS: LimitSection = {
  title: 'The controller',
  intro: '',
  rows: [
    [
      'Retired ports of one Service',
      'A problem. The Service gets no new ports until a quarantine is over',
      'shadow/decide.ts RETIRED_PORTS_MAX',
    ],
    [
      'Ports of one Service that have a proxy port',
      'A problem. Further ports of the Service get none',
      'shadow/decide.ts SERVICE_PORTS_MAX',
    ],
    [
      'Ports read of one list of a shadow Service',
      'The rest counts as damage. It is repaired and reported',
      'shadow/read.ts PORTS_MAX',
    ],
    [
      'Ranges of ports named in one problem',
      'It says how many more there are',
      'shadow/problems.ts RANGES_SHOWN_MAX',
    ],
    [
      'Characters of a damaged value that are shown',
      'It is cut',
      'shadow/read.ts VALUE_LENGTH_MAX',
    ],
    [
      "Steps of agents' progress that are kept",
      'Every second one is dropped. Ports are published a little later',
      'shadow/progress.ts STEPS_MAX',
    ],
    [
      'Starts of quarantines that are remembered',
      'Those of finished quarantines are forgotten',
      'shadow/quarantine.ts TIMES_MAX',
    ],
    [
      'Problems about shadow Services at a time',
      'New ones wait until others are gone',
      'shadow/problems.ts PROBLEMS_MAX',
    ],
    [
      'Longest wait between tries to read or write the CA',
      'It tries again after that, without an end',
      'authority/authority.ts RETRY_MS_MAX',
    ],
    [
      'Time limit of a request about the CA',
      'It fails, and is tried again',
      'authority/authority.ts REQUEST_TIMEOUT_MS',
    ],
    [
      'Conflicts in a row on the Secret of the CA',
      'A problem; the next try comes a second later',
      'authority/authority.ts CONFLICTS_MAX',
    ],
    [
      'Steps of a CA rotation in one round',
      'The next round continues',
      'authority/authority.ts STEPS_MAX',
    ],
    [
      'Length of an entry of the Secret of the CA',
      'A problem; nothing is overwritten',
      'authority/ca-secret.ts PEM_LENGTH_MAX',
    ],
    [
      "Characters of an agent's token",
      'The agent is refused',
      'authority/token.ts TOKEN_LENGTH_MAX',
    ],
    [
      'Hashes of accepted tokens that are remembered',
      'The least recently used token is reviewed again',
      'authority/token.ts REMEMBERED_MAX',
    ],
    ['TokenReviews at a time', 'More wait', 'authority/token.ts REVIEWS_MAX'],
    [
      'Tokens that wait for a review',
      'The agent is refused, and comes back',
      'authority/token.ts WAITING_MAX',
    ],
    [
      'Time limit of a TokenReview, and of the wait for one',
      'A new agent is refused, and comes back; a connected one stays',
      'authority/token.ts REVIEW_TIMEOUT_MS',
    ],
    [
      'Time limit of a request about the Lease',
      'It fails. The leader tries again until its Lease is nearly over',
      'leader/leader-election.ts REQUEST_TIMEOUT_MS',
    ],
    [
      'Longest duration that a Lease may claim',
      'A longer one counts as this long',
      'leader/lease.ts LEASE_MS_MAX',
    ],
    [
      "Longest wait between tries to write a replica's Lease",
      'It tries again after that; after 15 s nobody waits for the replica',
      'leader/replica-leases.ts RETRY_MS_MAX',
    ],
    [
      "Time limit of a request about a replica's Lease",
      'It fails, and is tried again',
      'leader/replica-leases.ts REQUEST_TIMEOUT_MS',
    ],
    [
      'Other replicas whose Leases are read',
      'More are not waited for',
      'leader/replica-leases.ts REPLICAS_MAX',
    ],
    [
      "Characters of the name of a replica's Lease",
      'The name contains a hash of the identity instead',
      'leader/replica-leases.ts NAME_LENGTH_MAX',
    ],
    [
      'Problems that have an Event',
      'The others are only in `/api/problems`. Namespaces with many problems get the same number each',
      'events/event-recorder.ts PROBLEMS_MAX',
    ],
    [
      'Problems of one object that have an Event',
      'The others are only in `/api/problems`, until one of these is gone',
      'events/event-recorder.ts OBJECT_PROBLEMS_MAX',
    ],
    [
      'Failures of one Event in a row',
      'It is tried again after 10 minutes',
      'events/event-recorder.ts FAILURES_MAX',
    ],
    [
      'Longest wait between tries to write an Event',
      'It tries again after that',
      'events/event-recorder.ts RETRY_MS_MAX',
    ],
    [
      'Time limit of a request about an Event',
      'It fails, and is tried again',
      'events/event-recorder.ts REQUEST_TIMEOUT_MS',
    ],
    ['Bytes of the note of an Event', 'It is cut', 'events/event.ts NOTE_BYTES_MAX'],
    [
      "Characters of an object's name in the name of an Event",
      'It is cut. A hash behind it keeps Events apart',
      'events/event.ts NAME_LENGTH_MAX',
    ],
    [
      "Characters of the controller's name in an Event",
      'It is cut',
      'events/event.ts INSTANCE_LENGTH_MAX',
    ],
    [
      'Length of a Corefile',
      'A problem; nothing is written',
      'cluster-dns/corefile.ts COREFILE_CHARS_MAX',
    ],
    [
      'Originals kept of one key of the cluster DNS',
      'The first and the latest ones are kept',
      'cluster-dns/backup.ts ORIGINALS_MAX',
    ],
    [
      'Bytes of all originals',
      'The oldest are deleted, but never the first. If that is not enough, a problem, and nothing is written',
      'cluster-dns/backup.ts BACKUP_BYTES_MAX',
    ],
    [
      'ConfigMaps that are remembered as changed',
      'The oldest is forgotten',
      'cluster-dns/backup.ts OBJECTS_MAX',
    ],
    [
      'Write conflicts in a row',
      'A problem. It tries again, at most 30 s apart',
      'cluster-dns/cluster-dns-controller.ts RACES_MAX',
    ],
    [
      'Tries to remove the mesh domains at uninstall',
      'Uninstalling fails, and nothing is deleted',
      'cluster-dns/cluster-dns-controller.ts RESTORE_TRIES_MAX',
    ],
    [
      'Pages of 500 objects read in `kube-system`',
      'A problem; set `--dns-mode manual`',
      'cluster-dns/objects.ts PAGES_MAX',
    ],
    [
      'Times that something reverts the entry within an hour',
      'A problem. From then on the entry is written only every ten minutes',
      'cluster-dns/revert-watch.ts REVERTS_MAX',
    ],
    [
      'Keys of the cluster DNS whose reverts are counted',
      'The oldest is forgotten',
      'cluster-dns/revert-watch.ts KEYS_MAX',
    ],
    [
      'ConfigMaps of the cluster DNS that are watched',
      'Others are read every 30 s',
      'cluster-dns/watch.ts FOLLOWED_MAX',
    ],
  ],
};
