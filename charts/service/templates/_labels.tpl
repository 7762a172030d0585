{{- define "service.selector" -}}
app.kubernetes.io/name: {{ include "service.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "service.labels" -}}
{{- $own := include "service.selector" . | fromYaml -}}
{{- $own = merge $own (dict
  "app.kubernetes.io/version" (include "service.version" (.Values.image.tag | default .Chart.AppVersion))
  "app.kubernetes.io/component" .component
  "app.kubernetes.io/part-of" .Values.partOf
  "app.kubernetes.io/managed-by" .Release.Service) -}}
{{- merge $own .Values.commonLabels | toYaml -}}
{{- end }}

{{/* A tag as the value of a label: 63 characters at most, and without the digest that may follow it. */}}
{{- define "service.version" -}}
{{- regexReplaceAll "[^A-Za-z0-9]+$" (splitList "@" . | first | trunc 63) "" -}}
{{- end }}

{{/* What NetworkPolicies select by: our own keys, since operators overwrite the usual ones on their pods. */}}
{{- define "service.member" -}}
healthcareplatform.io/platform: {{ .Values.partOf | quote }}
healthcareplatform.io/component: {{ .component | quote }}
{{- end }}

{{/* A pod's labels. Those that selectors and policies read win over `podLabels`. */}}
{{- define "service.podlabels" -}}
{{- $own := merge (include "service.labels" . | fromYaml) (include "service.member" . | fromYaml) -}}
{{- merge $own (.Values.podLabels | default dict) | toYaml -}}
{{- end }}

{{- define "service.metadata" -}}
name: {{ .name | default (include "service.fullname" .) | quote }}
namespace: {{ .Release.Namespace | quote }}
labels:
  {{- include "service.labels" . | nindent 2 }}
{{- with .Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
