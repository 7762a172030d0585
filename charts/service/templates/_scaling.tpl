{{- define "service.autoscaler" -}}
{{- with .Values.autoscaling }}{{ if .enabled }}
{{- if .external }}{{ fail "autoscaling.enabled and autoscaling.external exclude each other: who decides the number of pods, the chart's autoscaler or yours?" }}{{ end }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}{{ fail "autoscaling.minReplicas is above autoscaling.maxReplicas" }}{{ end }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "service.metadata" $ | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "service.fullname" $ | quote }}}
  minReplicas: {{ .minReplicas }}
  maxReplicas: {{ .maxReplicas }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ .targetCPUUtilizationPercentage }}}}
  behavior:
    scaleDown: {stabilizationWindowSeconds: 300}
{{- end }}{{ end }}
{{- end }}

{{- define "service.budget" -}}
{{- $fewest := int (ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled) -}}
{{- if and .Values.podDisruptionBudget.enabled (gt $fewest (int .Values.podDisruptionBudget.minAvailable)) }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "service.metadata" . | nindent 2 }}
spec:
  minAvailable: {{ .Values.podDisruptionBudget.minAvailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "service.selector" . | nindent 6 }}
{{- end }}
{{- end }}
