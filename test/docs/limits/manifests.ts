/** Limits of the section "Manifests" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const MANIFESTS_LIMITS: LimitSection = {
  title: 'Manifests',
  intro: '',
  rows: [
    [
      'Size of a file',
      'A problem. The last good objects of the file stay',
      'kube/folder/disk.ts FILE_BYTES_MAX',
    ],
    [
      'Files that are watched',
      'The others are left out, with a problem',
      'kube/folder/tree.ts FILES_MAX',
    ],
    [
      'Folders that are watched',
      'The others are left out, with a problem',
      'kube/folder/tree.ts FOLDERS_MAX',
    ],
    [
      'Depth of folders',
      'Deeper ones are left out, with a problem',
      'kube/folder/tree.ts FOLDER_DEPTH_MAX',
    ],
    ['Symbolic links on one path', 'The path counts as missing', 'kube/folder/disk.ts LINKS_MAX'],
    [
      'Time for which a file may keep changing before it is read',
      'It is read as it is',
      'kube/folder/holds.ts HOLD_MS_MAX',
    ],
    [
      'Depth of a document',
      'A problem. The last good objects of the file stay',
      'kube/text/place.ts DEPTH_MAX',
    ],
    ['Aliases in a document', 'A problem ("billion laughs")', 'kube/text/yaml.ts ALIASES_MAX'],
    ['Growth of a document by its aliases', 'A problem', 'kube/text/yaml.ts ALIAS_GROWTH_MAX'],
    ['Keys that "<<" merges in a document', 'A problem', 'kube/text/yaml.ts MERGED_KEYS_MAX'],
    [
      'Depth of Lists in Lists',
      'A problem; the inner List is left out',
      'kube/piece.ts LIST_DEPTH_MAX',
    ],
    ['Problems listed per file', 'The last one counts the rest', 'kube/manifest.ts PROBLEMS_MAX'],
    ['Characters of a value shown in a problem', 'It is cut', 'kube/show.ts LENGTH_MAX'],
    ['The same, for problems of the compiler', 'It is cut', 'compile/object-problem.ts VALUE_MAX'],
    [
      'Problems listed per object of the API',
      'Errors come first; the last one counts the rest',
      'compile/object-problem.ts FINDINGS_MAX',
    ],
    [
      'Unknown annotations of an object for which a name is suggested',
      'Further ones are told without a suggestion',
      'compile/annotation/read.ts NAME_GUESSES_MAX',
    ],
    [
      'Wrong port numbers of a Service for which another is suggested',
      'Further ones are told without a suggestion',
      'compile/service/idle-annotations.ts PORT_GUESSES_MAX',
    ],
    [
      'Parts of an annotation that is a list',
      'A problem; the value is bad',
      'compile/annotation/value.ts PARTS_MAX',
    ],
    [
      'Characters shown of a bad part of a list',
      'It is cut',
      'compile/annotation/value.ts PART_LENGTH_MAX',
    ],
    [
      'Length of a circuit-breaker expression',
      'A problem; the Service has no breaker',
      'compile/expression/token.ts LENGTH_MAX',
    ],
    [
      'Depth of a circuit-breaker expression',
      'A problem; the Service has no breaker',
      'compile/expression/parse.ts DEPTH_MAX',
    ],
    [
      'New problems logged at a time',
      'The rest is counted; all are in `/api/problems`',
      'admin/problem-log.ts SHOWN_MAX',
    ],
    [
      'Problems of one topic that `maesh check` prints',
      'The rest is counted; `-o json` has all',
      'cli/cluster-check.ts SHOWN_MAX',
    ],
    [
      'Problems of one object that `maesh check` prints',
      'The rest is counted; `-o json` has all',
      'cli/cluster-check.ts OBJECT_SHOWN_MAX',
    ],
  ],
};
