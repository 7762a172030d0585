{{- define "service.account" }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "service.metadata" . | nindent 2 }}
automountServiceAccountToken: false
{{- end -}}

{{- define "service.configmap" }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "service.metadata" . | nindent 2 }}
data:
  {{- range $name, $value := fromYaml .config }}
  {{ $name }}: {{ $value | toString | quote }}
  {{- end }}
{{- end -}}

{{- define "service.services" }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "service.metadata" . | nindent 2 }}
spec:
  {{- if .v.ports.grpc }}
  # Headless: gRPC clients keep their connections and balance over all pods by themselves.
  clusterIP: None
  {{- end }}
  selector:
    {{- include "service.selector" . | nindent 4 }}
  ports:
    - {name: http, port: {{ .v.ports.http }}, targetPort: http, appProtocol: http}
    {{- if .v.ports.grpc }}
    - {name: grpc, port: {{ .v.ports.grpc }}, targetPort: grpc, appProtocol: kubernetes.io/h2c}
    {{- end }}
{{- end -}}

{{- define "service.scaling" }}
{{- if .v.autoscaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "service.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ .name }}}
  minReplicas: {{ .v.autoscaling.minReplicas }}
  maxReplicas: {{ .v.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .v.autoscaling.targetCPUUtilizationPercentage }}}
{{- end }}
{{- if .v.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "service.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ .v.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "service.selector" . | nindent 6 }}
{{- end }}
{{- end -}}

{{- define "service.monitor" }}
{{- if .v.serviceMonitor.enabled }}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "service.labels" . | nindent 4 }}
    {{- with .v.serviceMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  jobLabel: app.kubernetes.io/name
  selector:
    matchLabels:
      {{- include "service.selector" . | nindent 6 }}
  endpoints:
    - {port: http, path: /actuator/prometheus, interval: {{ .v.serviceMonitor.interval }}}
{{- end }}
{{- end -}}

{{- define "service.exposure" }}
{{- $backend := dict "name" .name "port" .v.ports.http }}
{{- if .v.httpRoute.enabled }}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  {{- include "service.metadata" . | nindent 2 }}
spec:
  parentRefs:
    {{- toYaml .v.httpRoute.parentRefs | nindent 4 }}
  {{- with .v.httpRoute.hostnames }}
  hostnames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    - matches:
        {{- range .v.httpRoute.paths }}
        - path: {type: PathPrefix, value: {{ . }}}
        {{- end }}
      backendRefs:
        - {{ toYaml $backend | nindent 10 | trim }}
{{- end }}
{{- if .v.ingress.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "service.metadata" . | nindent 2 }}
spec:
  {{- with .v.ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- if .v.ingress.tlsSecret }}
  tls:
    - {hosts: [{{ .v.ingress.host }}], secretName: {{ .v.ingress.tlsSecret }}}
  {{- end }}
  rules:
    - http:
        paths:
          {{- $name := .name }}
          {{- range .v.ingress.paths }}
          - path: {{ . }}
            pathType: Prefix
            backend:
              service: {name: {{ $name }}, port: {name: http}}
          {{- end }}
      {{- with .v.ingress.host }}
      host: {{ . }}
      {{- end }}
{{- end }}
{{- end -}}
