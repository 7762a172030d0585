{{/* Pod Security "restricted" for containers of Strimzi's, whatever its operator's own default is. */}}
{{- define "strimzi.restricted" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/*
Where its pods go. Strimzi's templates of pods have no nodeSelector, so that it is asked for in every term of the node
affinity (terms are alternatives).
*/}}
{{- define "strimzi.placed" -}}
{{- $affinity := deepCopy (.Values.affinity | default dict) -}}
{{- if .Values.nodeSelector -}}
{{- $asked := list -}}
{{- range $key, $value := .Values.nodeSelector }}{{ $asked = append $asked (dict "key" $key "operator" "In" "values" (list $value)) }}{{ end -}}
{{- $nodes := $affinity.nodeAffinity | default dict -}}
{{- $required := $nodes.requiredDuringSchedulingIgnoredDuringExecution | default dict -}}
{{- $terms := list -}}
{{- range $required.nodeSelectorTerms | default (list dict) -}}
{{- $terms = append $terms (merge (dict "matchExpressions" (concat (.matchExpressions | default list) $asked)) .) -}}
{{- end -}}
{{- $_ := set $nodes "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" $terms) -}}
{{- $_ := set $affinity "nodeAffinity" $nodes -}}
{{- end -}}
{{- include "pod.placement" (merge (dict "affinity" $affinity) (omit .Values "nodeSelector" "affinity")) -}}
{{- end }}

{{/* The topic operator and the user operator watch a few dozen resources. */}}
{{- define "strimzi.small" -}}
resources:
  requests: {cpu: 25m, memory: 256Mi}
  limits: {cpu: 500m, memory: 384Mi}
{{- end }}
