{{/*
What the infrastructure charts are made of. Their context is a dict: `root` (the chart's own), `name` of the object,
and `component` where that is not the chart's name.
*/}}
{{- define "part.name" -}}
{{- $name := .Values.fullnameOverride | default (printf "%s%s" (include "service.prefix" .) .Chart.Name) -}}
{{- if gt (len $name) 52 }}{{ fail (printf "%s is longer than 52 characters, the most that a StatefulSet's name may have: set fullnameOverride" $name) }}{{ end -}}
{{- $name -}}
{{- end }}

{{- define "part.component" -}}{{ .component | default .root.Chart.Name }}{{- end }}

{{- define "part.selector" -}}
app.kubernetes.io/name: {{ include "part.component" . }}
app.kubernetes.io/instance: {{ .name | quote }}
{{- end }}

{{- define "part.labels" -}}
{{- $own := include "part.selector" . | fromYaml -}}
{{- $own = merge $own (dict
  "app.kubernetes.io/component" (include "part.component" .)
  "app.kubernetes.io/part-of" .root.Values.partOf
  "app.kubernetes.io/version" (include "service.version" .root.Chart.AppVersion)
  "app.kubernetes.io/managed-by" .root.Release.Service) -}}
{{- merge $own .root.Values.commonLabels | toYaml -}}
{{- end }}

{{- define "part.podLabels" -}}
{{ include "part.labels" . }}
{{ include "part.member" . }}
{{- end }}

{{- define "part.member" -}}
{{ include "service.member" (dict "Values" .root.Values "component" (include "part.component" .)) }}
{{- end }}

{{- define "part.metadata" -}}
name: {{ .name | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "part.labels" . | nindent 2 }}
{{- end }}

{{/* Every pod of ours: restricted, without a token, and as a user that no image has to know. */}}
{{- define "part.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "pod.security" .root.Values | nindent 2 }}
{{- include "pod.placement" .root.Values }}
{{- end }}

{{/*
The reference of `image`. `global.imageRegistry` is a mirror: it takes the place of the registry that the repository
names, if it names one (a first segment with a dot or a colon, as container engines read it).
*/}}
{{- define "part.image" -}}
{{- $repository := .image.repository -}}
{{- with (.global | default dict).imageRegistry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") -}}
{{- end -}}
{{- $repository }}{{ if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag }}{{ end -}}
{{- end }}

{{/* A claim for data, with the storage that the values ask for. */}}
{{- define "part.claim" -}}
- metadata:
    name: data
    labels:
      {{- include "part.selector" . | nindent 6 }}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .storage.className }}
    storageClassName: {{ . | quote }}
    {{- end }}
    resources:
      requests: {storage: {{ .storage.size | quote }}}
{{- end }}

{{/* What the rows of connections.yaml are read with. */}}
{{- define "part.connections" -}}
{{- $_ := set .into "Values" (dict "partOf" .root.Values.partOf "auth" dict "networkPolicy" (dict "external" (.root.Values.networkPolicy.external | default list))) -}}
{{- $_ := set .into "Table" (.root.Subcharts.service.Files.Get "connections.yaml" | fromYaml) -}}
{{- $_ := set .into "component" (include "part.component" .) -}}
{{- end }}

{{/*
The component's rows of connections.yaml. `pods` selects pods that another operator makes: what those reach (the API
server, each other) is their operator's to know, so that only the way in is fenced; `more` are further ways in.
*/}}
{{- define "part.networkpolicy" -}}
{{- $root := .root -}}
{{- if $root.Values.networkPolicy.enabled }}
{{- $context := dict -}}
{{- include "part.connections" (merge (dict "into" $context) .) }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "part.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- .pods | default (include "part.selector" .) | nindent 6 }}
  policyTypes: [Ingress{{ if not .pods }}, Egress{{ end }}]
  ingress:
    {{- include "service.network.ingress" $context | nindent 4 }}
    {{- with .more }}
    {{- . | nindent 4 }}
    {{- end }}
  {{- if not .pods }}
  egress:
    - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
    {{- include "service.network.egress" $context | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* A PodMonitor's head: `watch` has further labels, by which a Prometheus may select. */}}
{{- define "part.podmonitor" -}}
{{- $labels := include "part.labels" . | fromYaml -}}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {{ .name | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- merge (deepCopy (.watch.labels | default dict)) $labels | toYaml | nindent 4 }}
{{- end }}

{{/*
A server's exporter, as a container beside it: `exporter` has its image, `port` is where it answers, `env` and `mounts`
are YAML. Its probes ask for its own page: what is wrong with the server is told by the server's.
*/}}
{{- define "part.exporter" -}}
- name: exporter
  image: {{ include "part.image" (dict "image" .exporter.image "global" .root.Values.global) | quote }}
  imagePullPolicy: {{ .exporter.image.pullPolicy | quote }}
  env:
    {{- .env | nindent 4 }}
  ports:
    - {name: metrics, containerPort: {{ .port }}}
  readinessProbe: {httpGet: {path: /, port: metrics}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 6}
  livenessProbe: {httpGet: {path: /, port: metrics}, initialDelaySeconds: 10, periodSeconds: 15, timeoutSeconds: 5, failureThreshold: 6}
  resources:
    {{- toYaml .exporter.resources | nindent 4 }}
  securityContext:
    {{- with .user }}
    runAsUser: {{ . }}
    {{- end }}
    {{- include "container.security" .root.Values | nindent 4 }}
  {{- with .mounts }}
  volumeMounts:
    {{- . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* The PodMonitor of a server with an exporter: what it tells is told of the server. */}}
{{- define "part.watchedexporter" -}}
{{ include "part.podmonitor" . }}
spec:
  selector:
    matchLabels:
      {{- include "part.selector" . | nindent 6 }}
  podMetricsEndpoints:
    - port: metrics
      relabelings: [{targetLabel: job, replacement: {{ include "part.component" . }}}]
{{- end }}
