{{/* `helm test`: the service answers its health page from inside the cluster. */}}
{{- define "service.test" -}}
{{- $context := include "service.context" . | fromYaml -}}
{{- $_ := set $context "root" . -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ $context.name }}-test
  namespace: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/name: {{ $context.component }}-test
    app.kubernetes.io/instance: {{ $context.name }}
    app.kubernetes.io/part-of: {{ $context.v.partOf }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: health
      image: {{ include "service.image" $context }}
      imagePullPolicy: {{ $context.v.image.pullPolicy }}
      command:
        - python
        - -c
        - >-
          import urllib.request;
          print(urllib.request.urlopen("http://{{ $context.name }}:{{ $context.v.ports.http }}/actuator/health", timeout=20).read())
      resources:
        requests: {cpu: 10m, memory: 32Mi}
        limits: {memory: 64Mi}
      securityContext:
        {{- include "service.security" $context | nindent 8 }}
{{- end -}}

{{- define "service.notes" -}}
{{- $context := include "service.context" . | fromYaml -}}
{{ $context.component }} {{ $context.version }} is on its way.

  kubectl --namespace {{ .Release.Namespace }} rollout status deployment/{{ $context.name }}
  kubectl --namespace {{ .Release.Namespace }} port-forward service/{{ $context.name }} {{ $context.v.ports.http }}
  curl http://localhost:{{ $context.v.ports.http }}/actuator/health
  helm --namespace {{ .Release.Namespace }} test {{ .Release.Name }}
{{ if and $context.v.database.enabled (not $context.v.database.existingSecret) }}
Its database is sought at {{ $context.v.database.host | default (printf "%s-db" $context.component) }} with the development password. Say
  --set database.existingSecret=SECRET   with the keys username, password, host, port and dbname.
{{ end }}
{{- end -}}
