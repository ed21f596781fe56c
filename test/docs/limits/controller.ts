/** Limits of the section "The controller" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const CONTROLLER_LIMITS: LimitSection = {
  title: 'The controller',
  intro: '',
  rows: [
    [
      'Retired ports of one Service',
      'It gets no new ports until a quarantine is over, and a problem',
      'shadow/decide.ts RETIRED_PORTS_MAX',
    ],
    [
      'Ports of one Service that have a proxy port',
      'Its further ports have none, and a problem',
      'shadow/decide.ts SERVICE_PORTS_MAX',
    ],
    [
      'Ports read of one list of a shadow Service',
      'The rest counts as damage, which is repaired and told',
      'shadow/read.ts PORTS_MAX',
    ],
    [
      'Numbers of ports in one problem',
      'It says how many more there are',
      'shadow/problems.ts PORTS_SHOWN_MAX',
    ],
    [
      'Characters of a damaged value that are shown',
      'It is cut',
      'shadow/read.ts VALUE_LENGTH_MAX',
    ],
    [
      "Steps of agents' progress that are kept",
      'Every second one is dropped: ports are published a little later',
      'shadow/progress.ts STEPS_MAX',
    ],
    [
      'Beginnings of quarantines that are remembered',
      'Those that are over are forgotten',
      'shadow/quarantine.ts TIMES_MAX',
    ],
    [
      'Problems of shadow Services told at a time',
      'New ones are not told until others are gone',
      'shadow/problems.ts PROBLEMS_MAX',
    ],
    [
      'Wait between tries to read or write the CA',
      'It is tried again after that, for as long as it takes',
      'authority/authority.ts RETRY_MS_MAX',
    ],
    [
      'Time of a request about the CA',
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
      'The next round goes on',
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
      'Accepted tokens that are remembered, as a hash',
      'The one that was used longest ago is reviewed again',
      'authority/token.ts REMEMBERED_MAX',
    ],
    ['TokenReviews at a time', 'More wait', 'authority/token.ts REVIEWS_MAX'],
    [
      'Tokens that wait for a review',
      'The agent is refused, and comes back',
      'authority/token.ts WAITING_MAX',
    ],
    [
      'Time of a TokenReview, and of the wait for one',
      'A new agent is refused, and comes back; a connected one stays',
      'authority/token.ts REVIEW_TIMEOUT_MS',
    ],
    [
      'Time of a request about the Lease',
      'It fails; the leader tries again until its Lease is nearly over',
      'leader/leader-election.ts REQUEST_TIMEOUT_MS',
    ],
    [
      'Duration that a Lease may claim',
      'It is taken for one of this duration',
      'leader/lease.ts LEASE_MS_MAX',
    ],
    [
      "Wait between tries to write a replica's Lease",
      'It is tried again after that; after 15 s nobody waits for the replica',
      'leader/replica-leases.ts RETRY_MS_MAX',
    ],
    [
      "Time of a request about a replica's Lease",
      'It fails, and is tried again',
      'leader/replica-leases.ts REQUEST_TIMEOUT_MS',
    ],
    [
      'Other controllers that are looked at',
      'Further ones are not waited for',
      'leader/replica-leases.ts REPLICAS_MAX',
    ],
    [
      "Characters of the name of a replica's Lease",
      'The name has a hash of the identity instead',
      'leader/replica-leases.ts NAME_LENGTH_MAX',
    ],
    [
      'Problems that have an Event',
      'The others are in `/api/problems` only; namespaces with many get the same number each',
      'events/event-recorder.ts PROBLEMS_MAX',
    ],
    [
      'Problems of one object that have an Event',
      'The others are in `/api/problems` only, until one of these is gone',
      'events/event-recorder.ts OBJECT_PROBLEMS_MAX',
    ],
    [
      'Failures of one Event in a row',
      'It is tried again after 10 minutes',
      'events/event-recorder.ts FAILURES_MAX',
    ],
    [
      'Wait between tries to write an Event',
      'It is tried again after that',
      'events/event-recorder.ts RETRY_MS_MAX',
    ],
    [
      'Time of a request about an Event',
      'It fails, and is tried again',
      'events/event-recorder.ts REQUEST_TIMEOUT_MS',
    ],
    ['Bytes of the note of an Event', 'It is cut', 'events/event.ts NOTE_BYTES_MAX'],
    [
      "Characters of an object's name in an Event's",
      'It is cut; the hash after it tells Events apart',
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
      'The first and the latest ones stay',
      'cluster-dns/backup.ts ORIGINALS_MAX',
    ],
    [
      'Bytes of all originals',
      'The oldest of those that are not the first go; if that is not enough, a problem and nothing is written',
      'cluster-dns/backup.ts BACKUP_BYTES_MAX',
    ],
    [
      'ConfigMaps that are remembered as changed',
      'The oldest is forgotten',
      'cluster-dns/backup.ts OBJECTS_MAX',
    ],
    [
      'Writes in a row that lose against other writers',
      'A problem; it is tried again, at most 30 s apart',
      'cluster-dns/cluster-dns-controller.ts RACES_MAX',
    ],
    [
      'Tries to take the mesh domains out at uninstall',
      'It fails, and nothing is deleted',
      'cluster-dns/cluster-dns-controller.ts RESTORE_TRIES_MAX',
    ],
    [
      'Pages of 500 objects read in `kube-system`',
      'A problem; set `--dns-mode manual`',
      'cluster-dns/objects.ts PAGES_MAX',
    ],
    [
      'Reverts of the entry within an hour',
      'A problem; it is written every ten minutes only',
      'cluster-dns/revert-watch.ts REVERTS_MAX',
    ],
    [
      'Keys of the cluster DNS whose reverts are counted',
      'The oldest is forgotten',
      'cluster-dns/revert-watch.ts KEYS_MAX',
    ],
    [
      'ConfigMaps of the cluster DNS that are followed',
      'Others are looked at every 30 s',
      'cluster-dns/watch.ts FOLLOWED_MAX',
    ],
  ],
};
