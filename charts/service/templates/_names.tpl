{{/* Values: the library's defaults under what the chart and its user say. */}}
{{- define "service.values" -}}
{{- $mine := omit (deepCopy (.Values | toYaml | fromYaml)) "service" "global" -}}
{{- toYaml (mergeOverwrite (deepCopy (.Values.service | toYaml | fromYaml)) $mine) -}}
{{- end -}}

{{- define "service.component" -}}{{ .Values.nameOverride | default .Chart.Name }}{{- end -}}

{{- define "service.selector" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .name }}
{{- end -}}

{{- define "service.labels" -}}
{{ include "service.selector" . }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: {{ .v.partOf }}
app.kubernetes.io/version: {{ .version | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .v.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "service.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "service.labels" . | nindent 2 }}
{{- with .v.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "service.image" -}}
{{ .v.image.repository }}{{ if .v.image.digest }}@{{ .v.image.digest }}{{ else }}:{{ .v.image.tag }}{{ end }}
{{- end -}}
