{{- define "service.selector" -}}
app.kubernetes.io/name: {{ include "service.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "service.labels" -}}
{{- $own := include "service.selector" . | fromYaml -}}
{{- $version := .Values.image.tag | default .Chart.AppVersion | trunc 63 -}}
{{- $own = merge $own (dict
  "app.kubernetes.io/version" $version
  "app.kubernetes.io/component" .component
  "app.kubernetes.io/part-of" .Values.partOf
  "app.kubernetes.io/managed-by" .Release.Service) -}}
{{- merge $own .Values.commonLabels | toYaml -}}
{{- end }}

{{/* What NetworkPolicies select by: our own keys, since operators overwrite the usual ones on their pods. */}}
{{- define "service.member" -}}
healthcareplatform.io/platform: {{ .Values.partOf }}
healthcareplatform.io/component: {{ .component }}
{{- end }}

{{- define "service.metadata" -}}
name: {{ .name | default (include "service.fullname" .) }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "service.labels" . | nindent 2 }}
{{- with .Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
