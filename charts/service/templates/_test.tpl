{{/* `helm test`: asks the Service for its health, from the service's own image. */}}
{{- define "service.test" -}}
{{- $context := merge (dict "name" (printf "%s-test" (include "service.fullname" .))) . -}}
{{- $url := .url -}}
{{- if not $url }}{{ $url = include "service.test.url" . }}{{ end -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ $context.name }}
  namespace: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/name: {{ include "service.name" . }}-test
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/component: test
    app.kubernetes.io/part-of: {{ .Values.partOf }}
    app.kubernetes.io/managed-by: {{ .Release.Service }}
    {{- include "service.member" (dict "Values" .Values "component" "test") | nindent 4 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  restartPolicy: Never
  {{- include "service.podbase" . | nindent 2 }}
  containers:
    - name: health
      image: {{ include "service.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [python, -c, "import urllib.request; print(urllib.request.urlopen('{{ $url }}', timeout=10).read().decode())"]
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- include "service.security.container" . | nindent 8 }}
{{- end }}

{{- define "service.test.url" -}}
http://{{ include "service.fullname" . }}:{{ (get .Table.ports .Chart.Name).http }}/actuator/health
{{- end }}
