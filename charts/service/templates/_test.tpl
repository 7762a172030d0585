{{/* The only template under a chart's templates/tests: what `helm test` makes, and nothing else does. */}}
{{- define "service.tested" -}}
{{- $context := dict -}}
{{- include "service.context" (dict "root" . "into" $context) -}}
{{- include "service.test" $context -}}
{{- end }}

{{/* `helm test`: asks the Service for its health, from the service's own image. */}}
{{- define "service.test" -}}
{{- $url := .url -}}
{{- if not $url }}{{ $url = include "service.test.url" . }}{{ end -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "service.test.metadata" (merge (dict "weight" "-1") .) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "service.test.labels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  egress:
    - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
    {{- include "service.network.egress" (merge (dict "component" "test") .) | nindent 4 }}
---
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "service.test.metadata" . | nindent 2 }}
spec:
  backoffLimit: 0
  activeDeadlineSeconds: 120
  template:
    metadata:
      labels:
        {{- include "service.test.labels" . | nindent 8 }}
        {{- include "service.member" (dict "Values" .Values "component" "test") | nindent 8 }}
    spec:
      restartPolicy: Never
      {{- include "service.podbase" . | nindent 6 }}
      containers:
        - name: health
          image: {{ include "service.image" . | quote }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          command: [python, -c, "import urllib.request; print(urllib.request.urlopen('{{ $url }}', timeout=10).read().decode())"]
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
          securityContext:
            {{- include "service.security.container" . | nindent 12 }}
{{- end }}

{{- define "service.test.labels" -}}
app.kubernetes.io/name: {{ include "service.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
app.kubernetes.io/part-of: {{ .Values.partOf }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "service.test.url" -}}
http://{{ include "service.fullname" . }}:{{ (get .Table.ports .Chart.Name).http }}/actuator/health
{{- end }}

{{- define "service.test.metadata" -}}
name: {{ include "service.fullname" . }}-test
namespace: {{ .Release.Namespace }}
labels:
  {{- include "service.test.labels" . | nindent 2 }}
annotations:
  helm.sh/hook: test
  helm.sh/hook-weight: {{ .weight | default "0" | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
