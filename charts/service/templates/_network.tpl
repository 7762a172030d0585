{{/* One component's rows of connections.yaml, as a policy for both directions. */}}
{{- define "service.networkpolicy" -}}
{{- if .Values.networkPolicy.enabled }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "service.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- .selector | default (include "service.selector" .) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- include "service.network.ingress" . | nindent 4 }}
    {{- with .Values.networkPolicy.extraIngress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  egress:
    - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
    {{- include "service.network.egress" . | nindent 4 }}
    {{- with .Values.networkPolicy.extraEgress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end }}

{{- define "service.network.ingress" -}}
{{- range .Table.connections }}
{{- if and (eq .to $.component) (or (not .when) $.Values.auth.jwksUrl) }}
- ports: [{port: {{ get (get $.Table.ports .to) .port }}, protocol: TCP}]
  {{- if ne .from "anywhere" }}
  from:
    {{- if and (eq .from "prometheus") (has .from $.Values.networkPolicy.external) }}
    {{- /* prometheus-operator labels the pods of every Prometheus that it runs. */}}
    - namespaceSelector: {}
      podSelector: {matchLabels: {app.kubernetes.io/name: prometheus}}
    {{- else }}
    {{- include "service.network.peer" (dict "Values" $.Values "component" .from) | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "service.network.egress" -}}
{{- range .Table.connections }}
{{- if and (eq .from $.component) (or (not .when) $.Values.auth.jwksUrl) }}
{{- $part := .to | replace "postgres" "database" }}
{{- if or (not (hasKey $.Values $part)) (not (hasKey (get $.Values $part) "enabled")) (get $.Values $part).enabled }}
- ports: {{ include "service.network.ports" (dict "Values" $.Values "part" $part "usual" (get (get $.Table.ports .to) .port)) }}
  {{- if not (has $part $.Values.networkPolicy.external) }}
  to:
    {{- include "service.network.peer" (dict "Values" $.Values "component" .to) | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "service.network.peer" -}}
- podSelector:
    matchLabels:
      {{- include "service.member" . | nindent 6 }}
{{- end }}

{{/* The ports that the values name, since infrastructure that is not ours may listen elsewhere. */}}
{{- define "service.network.ports" -}}
{{- $ports := list .usual -}}
{{- if and (has .part (list "database" "redis")) (hasKey .Values .part) }}{{ $ports = list (get .Values .part).port }}{{ end -}}
{{- if and (eq .part "kafka") (hasKey .Values "kafka") -}}
{{- $ports = list -}}
{{- range splitList "," .Values.kafka.bootstrapServers }}{{ $ports = append $ports (splitList ":" . | last | int) }}{{ end -}}
{{- end -}}
[{{ range $i, $port := uniq $ports }}{{ if $i }}, {{ end }}{port: {{ $port }}, protocol: TCP}{{ end }}]
{{- end }}
