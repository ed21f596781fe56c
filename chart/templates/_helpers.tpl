{{/* Names are fixed: agents, discovery and the cluster DNS rely on them, and a cluster has one mesh. */}}

{{/* Labels of an object; takes (dict "root" $ "component" "agent"), component may be missing. */}}
{{- define "maesh.labels" -}}
{{ include "maesh.selector" . }}
app.kubernetes.io/part-of: maesh
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | quote }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What selectors use; never changes, because selectors cannot. */}}
{{- define "maesh.selector" -}}
app.kubernetes.io/name: maesh
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* Labels of a Pod: without version and chart, so that a chart that changes nothing else restarts nothing. */}}
{{- define "maesh.podLabels" -}}
{{ include "maesh.selector" . }}
app.kubernetes.io/part-of: maesh
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- with merge (dict) (.podLabels | default dict) .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* metadata.annotations with what is given in .annotations and commonAnnotations, or nothing. */}}
{{- define "maesh.annotations" -}}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "maesh.image" -}}
{{- with .Values.image -}}
{{- $tag := .tag | default $.Chart.AppVersion -}}
{{- if .registry }}{{ .registry | trimSuffix "/" }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ $tag }}{{ end }}
{{- end -}}
{{- end }}

{{/* HOST:PORT to listen on; an IPv6 address in brackets. */}}
{{- define "maesh.listen" -}}
{{- $host := .root.Values.listenAddress -}}
{{- if contains ":" $host }}[{{ $host }}]{{ else }}{{ $host }}{{ end }}:{{ .port }}
{{- end }}

{{/* YAML reads an unquoted off as false; both mean off. */}}
{{- define "maesh.word" -}}
{{- if kindIs "bool" . }}off{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* Passes Pod Security "restricted" (test/chart/admission.test.ts). */}}
{{- define "maesh.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.runAsUser }}
runAsUser: {{ . | int64 }}
runAsGroup: {{ . | int64 }}
fsGroup: {{ . | int64 }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "maesh.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Placement of a Pod; takes (dict "root" $ "pod" .Values.agent). */}}
{{- define "maesh.placement" -}}
{{- if .pod.priorityClassName }}
priorityClassName: {{ .pod.priorityClassName | quote }}
{{- else if .root.Values.priorityClass.create }}
priorityClassName: maesh
{{- end }}
{{- with .pod.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "maesh.logEnv" -}}
- name: MAESH_LOG_LEVEL
  value: {{ .Values.log.level | quote }}
- name: MAESH_LOG_FORMAT
  value: {{ .Values.log.format | quote }}
{{- end }}

{{/* Env from a field of the Pod; takes (list "POD_NAME" "metadata.name"). */}}
{{- define "maesh.fieldEnv" -}}
- name: {{ index . 0 }}
  valueFrom:
    fieldRef:
      fieldPath: {{ index . 1 }}
{{- end }}

{{- define "maesh.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: admin }
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 60
# A restart costs more than a stall: patient.
livenessProbe:
  httpGet: { path: /healthz, port: admin }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: admin }
  periodSeconds: 3
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}
