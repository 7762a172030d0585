{{- define "service.notes" -}}
{{- $context := dict -}}
{{- include "service.context" (dict "root" . "into" $context) -}}
{{- $name := include "service.fullname" $context -}}
{{- $port := (get $context.Table.ports .Chart.Name).http -}}
{{ .Chart.Name }} is being started as {{ $name }} in {{ .Release.Namespace }}.

Wait for it:   kubectl --namespace {{ .Release.Namespace }} rollout status deployment/{{ $name }}
Ask it:        helm test {{ .Release.Name }} --namespace {{ .Release.Namespace }}
Reach it:      kubectl --namespace {{ .Release.Namespace }} port-forward service/{{ $name }} {{ $port }}:{{ $port }}
               curl localhost:{{ $port }}/actuator/health
{{- end }}
