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

{{/* Which nodes take the pods that prometheus-operator makes, and with which Secrets they pull. */}}
{{- define "monitoring.placed" -}}
{{- range $key := list "imagePullSecrets" "nodeSelector" "tolerations" }}
{{- with get $.Values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
