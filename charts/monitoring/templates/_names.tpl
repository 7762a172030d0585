{{/* Prometheus, Alertmanager and Grafana are three things of one chart: each is named for itself. */}}
{{- define "monitoring.named" -}}
{{- if .root.Values.fullnameOverride }}{{ .root.Values.fullnameOverride }}-{{ else }}{{ include "service.prefix" .root }}{{ end }}{{ .component -}}
{{- end }}
