/** Limits of the section "The API server" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const API_SERVER_LIMITS: LimitSection = {
  title: 'The API server',
  intro: '',
  rows: [
    [
      'Wait after a failure, before the next try',
      'It is tried again after that, for as long as it takes',
      'kube/api/reflector.ts RETRY_MS_MAX',
    ],
    [
      'Wait that the API server may ask for',
      'It is asked again after that',
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
      'Time of a request, unless it has one of its own',
      'It fails, and is tried again by who asked',
      'kube/api/client.ts REQUEST_TIMEOUT_MS',
    ],
    [
      'Connections at a time; a watch has one',
      'Requests wait',
      'kube/api/proxy.ts CONNECTIONS_MAX',
    ],
    [
      'Connections kept open without a request',
      'Further ones are closed',
      'kube/api/proxy.ts IDLE_CONNECTIONS_MAX',
    ],
    [
      'Bytes of an answer',
      'A list is read again in smaller pages; anything else fails',
      'kube/api/exchange.ts RESPONSE_BYTES_MAX',
    ],
    [
      'Bytes of a request',
      'It is not sent: the API server takes no more',
      'kube/api/exchange.ts REQUEST_BYTES_MAX',
    ],
    ["Bytes of an answer's head", 'The request fails', 'kube/api/exchange.ts HEAD_BYTES_MAX'],
    [
      'Bytes of one event of a watch',
      'The watch ends and goes on from the last event before it, after a wait',
      'kube/api/json-lines.ts EVENT_BYTES_MAX',
    ],
    [
      'Objects of a page, when lists expire while they are read',
      'The list begins anew after a wait',
      'kube/api/reflector.ts PAGE_OBJECTS_MAX',
    ],
    [
      'Lists that are begun anew at once, in other pages',
      'The next one begins after a wait',
      'kube/api/reflector.ts LIST_TRIES_MAX',
    ],
    [
      'Objects of one kind',
      'What was there stays, `/readyz` or the log says why, and it is tried again',
      'kube/api/reflector.ts OBJECTS_MAX',
    ],
    [
      'Time to read one page',
      'The list begins anew after a wait',
      'kube/api/reflector.ts PAGE_TIMEOUT_MS',
    ],
    [
      'Duration of a watch',
      'The server ends it, and the next one goes on from there',
      'kube/api/reflector.ts WATCH_MS_MAX',
    ],
    [
      'Namespaces that are watched one by one',
      'The controller does not start; without `--watch-namespace` it watches all at once',
      'kube/api/source.ts NAMESPACES_MAX',
    ],
    [
      'Problems listed of objects that cannot be used',
      'The last one counts the rest',
      'kube/api/source.ts PROBLEMS_MAX',
    ],
    [
      'The same, of one object',
      'The others are left out',
      'kube/api/watched-kind.ts OBJECT_PROBLEMS_MAX',
    ],
    [
      'Size of a token, key or certificate file',
      'What was read before stays; without that the request fails',
      'kube/api/file-value.ts FILE_BYTES_MAX',
    ],
    [
      'Size of a kubeconfig',
      'The command ends and says so',
      'kube/api/kubeconfig.ts KUBECONFIG_BYTES_MAX',
    ],
    [
      'Time of a credential plugin of a kubeconfig',
      'It is killed, and the request fails',
      'kube/api/run-plugin.ts PLUGIN_TIMEOUT_MS',
    ],
    [
      'Time of a credential plugin that may ask at the terminal',
      'It is killed, and the request fails',
      'kube/api/run-plugin.ts INTERACTIVE_TIMEOUT_MS',
    ],
    ['Time of a SOCKS proxy to connect', 'The request fails', 'kube/api/proxy.ts SOCKS_TIMEOUT_MS'],
    [
      'Bytes that a credential plugin prints',
      'The request fails',
      'kube/api/run-plugin.ts OUTPUT_BYTES_MAX',
    ],
    [
      "Characters of a plugin's complaint that are shown",
      'It is cut',
      'kube/api/exec-plugin.ts COMPLAINT_LENGTH_MAX',
    ],
  ],
};
