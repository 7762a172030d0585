{{/* Pod Security "restricted" for containers of Strimzi's, whatever its operator's own default is. */}}
{{- define "strimzi.restricted" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Which nodes take its pods, and with which Secrets they pull. */}}
{{- define "strimzi.placed" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
        - matchExpressions:
            {{- range $key, $value := . }}
            - {key: {{ $key }}, operator: In, values: [{{ $value | quote }}]}
            {{- end }}
{{- end }}
{{- end }}

{{/* The topic operator and the user operator watch a few dozen resources. */}}
{{- define "strimzi.small" -}}
resources:
  requests: {cpu: 25m, memory: 256Mi}
  limits: {cpu: 500m, memory: 384Mi}
{{- end }}
