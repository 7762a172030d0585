{{/* The image of CloudNativePG's pods: its operator reads the version of PostgreSQL from the tag, beside a digest too. */}}
{{- define "postgres.clusterimage" -}}
{{- $tag := .Values.version -}}
{{- with .Values.clusterImageDigest }}{{ $tag = printf "%s@%s" $tag . }}{{ end -}}
{{- include "part.image" (dict "image" (dict "repository" .Values.clusterImage "tag" $tag) "global" .Values.global) -}}
{{- end }}

{{/* A pod's affinity under the names that CloudNativePG has for it. The context is the chart's values. */}}
{{- define "postgres.affinity" -}}
{{- $affinity := .affinity | default dict -}}
{{- $found := dict "nodeSelector" .nodeSelector "tolerations" .tolerations "nodeAffinity" $affinity.nodeAffinity
  "additionalPodAffinity" $affinity.podAffinity "additionalPodAntiAffinity" $affinity.podAntiAffinity -}}
{{- range $key, $value := $found }}
{{- with $value }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
