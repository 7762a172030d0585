{{- define "service.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "service.metadata" . | nindent 2 }}
spec:
  {{- if not (or .Values.autoscaling.enabled .Values.autoscaling.external) }}
  replicas: {{ .Values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  progressDeadlineSeconds: 600
  strategy:
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels:
      {{- include "service.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "service.podlabels" . | nindent 8 }}
      annotations:
        checksum/config: {{ include "service.settings" . | sha256sum | quote }}
        {{- with .Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "service.podbase" . | nindent 6 }}
      {{- /* No preStop: on SIGTERM the service itself goes unready and drains before it closes its door. */}}
      terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
      {{- include "service.spread" . | nindent 6 }}
      {{- if and .Values.migrations.enabled .Values.database.enabled }}
      initContainers:
        - name: migrate
          {{- include "service.container" (merge (dict "words" (list "migrate")) .) | nindent 10 }}
      {{- end }}
      containers:
        - name: {{ .Chart.Name }}
          {{- include "service.container" . | nindent 10 }}
          ports:
            {{- range $name, $port := get .Table.ports .Chart.Name }}
            - {name: {{ $name }}, containerPort: {{ $port }}, protocol: TCP}
            {{- end }}
          {{- include "service.probes" . | nindent 10 }}
      volumes:
        {{- include "service.volumes" . | nindent 8 }}
        {{- with .Values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end }}

{{- define "service.container" -}}
image: {{ include "service.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy | quote }}
command: [python, -m, {{ .Chart.Name | replace "-" "_" }}{{ range .words }}, {{ . }}{{ end }}]
terminationMessagePolicy: FallbackToLogsOnError
envFrom:
  - configMapRef: {name: {{ include "service.fullname" . | quote }}}
  {{- with .Values.envFrom }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- if or .Values.env .Values.extraEnv }}
env:
  {{- range $name, $value := .Values.env }}
  - {name: {{ $name | quote }}, value: {{ include "service.text" $value }}}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
resources:
  {{- toYaml (.Values.resources | default dict) | nindent 2 }}
securityContext:
  {{- include "container.security" .Values | nindent 2 }}
volumeMounts:
  {{- include "service.mounts" . | nindent 2 }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Liveness depends on nothing outside the process; readiness on what the service cannot answer without. */}}
{{- define "service.probes" -}}
{{- range $probe, $path := dict "startup" "liveness" "liveness" "liveness" "readiness" "readiness" }}
{{- with get ($.Values.probes | default dict) $probe }}
{{ $probe }}Probe:
  httpGet: {path: /actuator/health/{{ $path }}, port: http}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "service.spread" -}}
{{- if .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml .Values.topologySpreadConstraints | nindent 2 }}
{{- else if .Values.topologySpread.enabled }}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $.Values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "service.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}
