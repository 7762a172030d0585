{{/* Prometheus, Alertmanager and Grafana are three things of one chart: each is named for itself. */}}
{{- define "monitoring.named" -}}
{{- if .root.Values.fullnameOverride }}{{ .root.Values.fullnameOverride }}-{{ else }}{{ include "service.prefix" .root }}{{ end }}{{ .component -}}
{{- end }}

{{/* A file of rules, its links to runbooks made whole. */}}
{{- define "monitoring.rules" -}}
{{- $text := .root.Files.Get .path -}}
{{- with .root.Values.runbookBaseUrl }}{{ $text = $text | replace "runbook_url: docs/" (printf "runbook_url: %s/docs/" .) }}{{ end -}}
{{- $text -}}
{{- end }}

{{/* What the pods have that prometheus-operator makes: placement, and ids that the platform may give instead. */}}
{{- define "monitoring.pod" -}}
securityContext:
  runAsNonRoot: true
  {{- if not .Values.openshift }}
  runAsUser: 65534
  fsGroup: 65534
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- include "pod.placement" .Values }}
{{- end }}
