{{/*
`helm test`: one pod that asks a door, and the policy that lets it out. Both are made for the test and go with it.
The context is a dict: `root`, `name`, `partOf`, `image`, `pullPolicy`, `command`, `component`, and `secret` where the
door wants a password.
*/}}
{{- define "test.door" -}}
{{- $table := .root.Subcharts.service.Files.Get "connections.yaml" | fromYaml -}}
{{- $values := dict "partOf" .partOf "auth" dict "networkPolicy" (dict "external" list) -}}
{{- $policy := dict "Values" $values "Table" $table "component" "test" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "test.metadata" (merge (dict "weight" "-1") .) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "test.labels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  egress:
    - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
    {{- include "service.network.egress" $policy | nindent 4 }}
---
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "test.metadata" . | nindent 2 }}
spec:
  {{- /* Who keeps the policies needs a moment to know a new pod: it asks again, from the same address. */}}
  backoffLimit: 3
  activeDeadlineSeconds: 120
  template:
    metadata:
      labels:
        {{- include "test.labels" . | nindent 8 }}
        {{- include "service.member" $policy | nindent 8 }}
    spec:
      restartPolicy: OnFailure
      {{- include "part.pod" . | nindent 6 }}
      containers:
        - name: ask
          image: {{ .image | quote }}
          imagePullPolicy: {{ .pullPolicy | quote }}
          command: {{ toJson .command }}
          resources:
            requests: {cpu: 10m, memory: 32Mi}
            limits: {cpu: 500m, memory: 128Mi}
          securityContext:
            {{- include "container.security" .root.Values | nindent 12 }}
          {{- if .secret }}
          volumeMounts:
            - {name: secret, mountPath: /etc/healthcare/secret, readOnly: true}
          {{- end }}
      {{- with .secret }}
      volumes:
        - name: secret
          secret: {secretName: {{ . | quote }}, defaultMode: 0440}
      {{- end }}
{{- end }}

{{- define "test.metadata" -}}
name: {{ printf "%s-test" .name | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "test.labels" . | nindent 2 }}
annotations:
  helm.sh/hook: test
  helm.sh/hook-weight: {{ .weight | default "0" | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- define "test.labels" -}}
app.kubernetes.io/name: {{ .component | default .root.Chart.Name }}-test
app.kubernetes.io/instance: {{ .name | quote }}
app.kubernetes.io/component: test
app.kubernetes.io/part-of: {{ .partOf | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/* A service's test: its health page, asked for by its own image at `path` and `port`. */}}
{{- define "service.tested" -}}
{{- $c := dict -}}
{{- include "service.context" (dict "root" .root "into" $c) -}}
{{- $name := include "service.fullname" $c -}}
{{- $port := .port | default (get $c.Table.ports $c.Chart.Name | default dict).http -}}
{{- $url := printf "http://%s:%v%s" $name $port (.path | default "/actuator/health") -}}
{{- $ask := printf "import urllib.request; print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open('%s', timeout=10).read().decode())" $url -}}
{{- include "test.door" (dict
  "root" (dict "Values" $c.Values "Release" .root.Release "Chart" .root.Chart "Subcharts" .root.Subcharts)
  "name" $name "partOf" $c.Values.partOf
  "image" (include "service.image" $c) "pullPolicy" $c.Values.image.pullPolicy
  "command" (list "python" "-c" $ask)) -}}
{{- end }}

{{/* An infrastructure chart's test: a command of its own image. */}}
{{- define "part.tested" -}}
{{- $partOf := .root.Values.partOf -}}
{{- $image := include "part.image" (dict "image" .image "global" .root.Values.global) -}}
{{- include "test.door" (merge (dict "partOf" $partOf "pullPolicy" .image.pullPolicy "image" $image) (omit . "image")) -}}
{{- end }}
