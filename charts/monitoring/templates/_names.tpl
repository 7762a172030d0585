{{/* Prometheus, Alertmanager and Grafana are three things of one chart: each is named for itself. */}}
{{- define "monitoring.named" -}}
{{- if .root.Values.fullnameOverride }}{{ .root.Values.fullnameOverride }}-{{ else }}{{ include "service.prefix" .root }}{{ end }}{{ .component -}}
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
