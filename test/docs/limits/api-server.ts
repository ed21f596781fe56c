/** Limits of the section "The API server" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const API_SERVER_LIMITS: LimitSection = {
  title: 'The API server',
  intro: '',
  rows: [
    [
      'Longest wait between tries after failures',
      'It tries again after that, without an end',
      'kube/api/reflector.ts RETRY_MS_MAX',
    ],
    [
      'Longest wait that the API server may ask for',
      'It asks again after that',
      'kube/api/api-error.ts RETRY_AFTER_MS_MAX',
    ],
    [
      'Characters of a refusal that are kept',
      'It is cut',
      'kube/api/api-error.ts MESSAGE_LENGTH_MAX',
    ],
    [
      'Causes of a refusal that are kept',
      'The others are left out',
      'kube/api/api-error.ts CAUSES_MAX',
    ],
    [
      'Time limit of a request without one of its own',
      'It fails. The part that sent it tries again',
      'kube/api/client.ts REQUEST_TIMEOUT_MS',
    ],
    [
      'Connections at a time (each watch has one)',
      'Requests wait',
      'kube/api/proxy.ts CONNECTIONS_MAX',
    ],
    ['Idle connections kept open', 'More are closed', 'kube/api/proxy.ts IDLE_CONNECTIONS_MAX'],
    [
      'Bytes of an answer',
      'A list is read again in smaller pages; anything else fails',
      'kube/api/exchange.ts RESPONSE_BYTES_MAX',
    ],
    [
      'Bytes of a request',
      'It is not sent, because the API server takes no more',
      'kube/api/exchange.ts REQUEST_BYTES_MAX',
    ],
    ["Bytes of an answer's head", 'The request fails', 'kube/api/exchange.ts HEAD_BYTES_MAX'],
    [
      'Bytes of one event of a watch',
      'The watch ends. After a wait it resumes behind the last event before this one',
      'kube/api/json-lines.ts EVENT_BYTES_MAX',
    ],
    [
      'Objects of a page, after a list expired while it was read',
      'The list is read again after a wait',
      'kube/api/reflector.ts PAGE_OBJECTS_MAX',
    ],
    [
      'Lists read again at once, with other pages',
      'The next one is read after a wait',
      'kube/api/reflector.ts LIST_TRIES_MAX',
    ],
    [
      'Objects of one kind',
      'The objects known so far stay. `/readyz` or the log says why, and it tries again',
      'kube/api/reflector.ts OBJECTS_MAX',
    ],
    [
      'Time to read one page',
      'The list is read again after a wait',
      'kube/api/reflector.ts PAGE_TIMEOUT_MS',
    ],
    [
      'Duration of a watch',
      'The server ends it, and the next one continues',
      'kube/api/reflector.ts WATCH_MS_MAX',
    ],
    [
      'Namespaces that are watched one by one',
      'The controller does not start. Without `--watch-namespace` it watches all at once',
      'kube/api/source.ts NAMESPACES_MAX',
    ],
    [
      'Problems listed about unusable objects',
      'The last one counts the rest',
      'kube/api/source.ts PROBLEMS_MAX',
    ],
    [
      'Problems listed about one unusable object',
      'The others are left out',
      'kube/api/watched-kind.ts OBJECT_PROBLEMS_MAX',
    ],
    [
      'Size of a token, key or certificate file',
      'The contents read before stay in use; without them the request fails',
      'kube/api/file-value.ts FILE_BYTES_MAX',
    ],
    [
      'Size of a kubeconfig',
      'The command fails and says so',
      'kube/api/kubeconfig.ts KUBECONFIG_BYTES_MAX',
    ],
    [
      'Time limit of a credential plugin of a kubeconfig',
      'It is killed, and the request fails',
      'kube/api/run-plugin.ts PLUGIN_TIMEOUT_MS',
    ],
    [
      'Time limit of a credential plugin that may ask at the terminal',
      'It is killed, and the request fails',
      'kube/api/run-plugin.ts INTERACTIVE_TIMEOUT_MS',
    ],
    [
      'Time limit of a SOCKS proxy to connect',
      'The request fails',
      'kube/api/proxy.ts SOCKS_TIMEOUT_MS',
    ],
    [
      'Bytes that a credential plugin prints',
      'The request fails',
      'kube/api/run-plugin.ts OUTPUT_BYTES_MAX',
    ],
    [
      "Characters shown of a plugin's error output",
      'It is cut',
      'kube/api/exec-plugin.ts COMPLAINT_LENGTH_MAX',
    ],
  ],
};
