{{/* Every object of a service, from its chart's values. */}}
{{- define "service.all" -}}
{{- $context := dict -}}
{{- include "service.context" (dict "root" . "into" $context) -}}
{{- $parts := list "configmap" "serviceaccount" "service" "headless" "pods" "deployment" "autoscaler" "budget" "networkpolicy" "monitor" "httproute" "ingress" -}}
{{- range $parts }}
{{- with include (printf "service.%s" .) $context | trimAll "\n " }}
---
{{ . }}
{{- end }}
{{- end }}
{{- end }}
