{{/* From the table of who talks to whom: `network` in this chart's values. */}}
{{- define "service.network" }}
{{- if .v.networkPolicy.enabled }}
{{- $component := .component }}
{{- $table := .v.network }}
{{- $partOf := .v.partOf }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "service.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "service.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        {{- range $from, $row := $table }}
        {{- if has $component $row.to }}
        - podSelector:
            matchLabels: {app.kubernetes.io/name: {{ $from }}, app.kubernetes.io/part-of: {{ $partOf }}}
        {{- end }}
        {{- end }}
        - podSelector:
            matchLabels: {app.kubernetes.io/name: prometheus}
        {{- range .v.networkPolicy.fromNamespaces }}
        - namespaceSelector:
            matchLabels:
              {{- toYaml . | nindent 14 }}
        {{- end }}
    {{- if eq $component "api-gateway" }}
    # The door of the platform.
    - ports:
        - {port: http, protocol: TCP}
    {{- end }}
  egress:
    - ports:
        - {port: 53, protocol: UDP}
        - {port: 53, protocol: TCP}
    {{- $to := (get $table $component).to }}
    - to:
        {{- range $to }}
        {{- if eq . "database" }}
        - podSelector:
            matchLabels: {app.kubernetes.io/name: postgres, app.kubernetes.io/part-of: {{ $partOf }}}
        - podSelector:
            matchExpressions: [{key: cnpg.io/cluster, operator: Exists}]
        {{- else if eq . "kafka" }}
        - podSelector:
            matchLabels: {app.kubernetes.io/name: kafka, app.kubernetes.io/part-of: {{ $partOf }}}
        {{- else }}
        - podSelector:
            matchLabels: {app.kubernetes.io/name: {{ . }}, app.kubernetes.io/part-of: {{ $partOf }}}
        {{- end }}
        {{- end }}
        {{- range .v.networkPolicy.toCIDRs }}
        - ipBlock: {cidr: {{ . }}}
        {{- end }}
{{- end }}
{{- end -}}
