{{- define "service.monitor" -}}
{{- with .Values.serviceMonitor }}{{ if .enabled }}
{{- $metadata := include "service.metadata" $ | fromYaml }}
{{- $_ := set $metadata "labels" (merge (deepCopy .labels) $metadata.labels) }}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  {{- toYaml $metadata | nindent 2 }}
spec:
  selector:
    matchLabels:
      {{- include "service.selector" $ | nindent 6 }}
  endpoints:
    - port: http
      path: /actuator/prometheus
      interval: {{ .interval | quote }}
      relabelings:
        - {targetLabel: job, replacement: {{ $.Chart.Name }}}
{{- end }}{{ end }}
{{- end }}
