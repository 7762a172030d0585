{{- define "service.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "service.metadata" . | nindent 2 }}
spec:
  selector:
    {{- include "service.selector" . | nindent 4 }}
  ports:
    {{- range $name, $port := get .Table.ports .Chart.Name }}
    - {name: {{ $name }}, port: {{ $port }}, targetPort: {{ $name }}, protocol: TCP{{ if eq $name "grpc" }}, appProtocol: kubernetes.io/h2c{{ end }}}
    {{- end }}
{{- end }}

{{/* gRPC keeps one connection for ever: clients that see every pod's address can take turns. */}}
{{- define "service.headless" -}}
{{- with (get .Table.ports .Chart.Name).grpc }}
apiVersion: v1
kind: Service
metadata:
  {{- include "service.metadata" (merge (dict "name" (printf "%s-grpc" (include "service.fullname" $))) $) | nindent 2 }}
spec:
  clusterIP: None
  selector:
    {{- include "service.selector" $ | nindent 4 }}
  ports:
    - {name: grpc, port: {{ . }}, targetPort: grpc, protocol: TCP, appProtocol: kubernetes.io/h2c}
{{- end }}
{{- end }}

{{/* Every pod by its own address, ready or not: what Prometheus reads has to be told apart by pod. */}}
{{- define "service.pods" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "service.metadata" (merge (dict "name" (printf "%s-pods" (include "service.fullname" .))) .) | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "service.selector" . | nindent 4 }}
  ports:
    - {name: metrics, port: {{ (get .Table.ports .Chart.Name).http }}, targetPort: http, protocol: TCP}
{{- end }}
