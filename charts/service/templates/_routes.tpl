{{/* The ways in from outside. Only listed paths are routed: /actuator stays inside. */}}
{{- define "service.httproute" -}}
{{- with .Values.httpRoute }}{{ if .enabled }}
{{- include "service.exposed" $ }}
{{- if not .parentRefs }}{{ fail "httpRoute.enabled needs httpRoute.parentRefs: the Gateway that it belongs to" }}{{ end }}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  {{- include "service.metadata" $ | nindent 2 }}
spec:
  parentRefs:
    {{- toYaml .parentRefs | nindent 4 }}
  {{- with .hostnames }}
  hostnames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    - matches:
        {{- range $.Values.exposedPaths }}
        - path: {type: PathPrefix, value: {{ . | quote }}}
        {{- end }}
      backendRefs:
        - {name: {{ include "service.fullname" $ | quote }}, port: {{ (get $.Table.ports $.Chart.Name).http }}}
{{- end }}{{ end }}
{{- end }}

{{- define "service.ingress" -}}
{{- with .Values.ingress }}{{ if .enabled }}
{{- include "service.exposed" $ }}
{{- $metadata := include "service.metadata" $ | fromYaml }}
{{- $_ := set $metadata "annotations" (merge (deepCopy .annotations) ($metadata.annotations | default dict)) }}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- toYaml $metadata | nindent 2 }}
spec:
  {{- with .className }}
  ingressClassName: {{ . | quote }}
  {{- end }}
  {{- $hosts := .hosts | default list }}
  {{- with .host }}{{ $hosts = prepend $hosts . | uniq }}{{ end }}
  {{- if .tlsSecret }}
  tls:
    - secretName: {{ .tlsSecret | quote }}
      {{- with $hosts }}
      hosts: {{ toJson . }}
      {{- end }}
  {{- end }}
  rules:
    {{- range $hosts | default (list "") }}
    - {{ with . }}host: {{ . | quote }}
      {{ end }}http:
        paths:
          {{- range $.Values.exposedPaths }}
          - path: {{ . | quote }}
            pathType: {{ ternary "ImplementationSpecific" "Prefix" (contains "." .) }}{{/* ingress-nginx refuses a dot in a Prefix */}}
            backend: {service: {name: {{ include "service.fullname" $ | quote }}, port: {name: http}}}
          {{- end }}
    {{- end }}
{{- end }}{{ end }}
{{- end }}

{{- define "service.exposed" -}}
{{- if not .Values.exposedPaths }}{{ fail (printf "%s is not reached from outside: httpRoute and ingress are the gateway's" .Chart.Name) }}{{ end }}
{{- end }}
