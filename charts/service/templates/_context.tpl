{{/*
Fills the dict `into` with what every other template reads: the chart's values laid over the library's defaults, and
the table of connections (a library's own .Files is the chart's that includes it). Without `lookup` and
`.Capabilities`: rendering is a pure function of the values.
*/}}
{{- define "service.context" -}}
{{- $root := .root -}}
{{- $values := deepCopy $root.Values.service -}}
{{- include "service.overlay" (dict "into" $values "over" (omit $root.Values "service" "global")) -}}
{{- $_ := set $values "global" ($root.Values.global | default dict) -}}
{{- $_ := set .into "Values" $values -}}
{{- $_ := set .into "Release" $root.Release -}}
{{- $_ := set .into "Chart" $root.Chart -}}
{{- $_ := set .into "Table" ($root.Subcharts.service.Files.Get "connections.yaml" | fromYaml) -}}
{{- $_ := set .into "component" $root.Chart.Name -}}
{{- end }}

{{/* Lays `over` over `into`. A null removes what is there, which `mergeOverwrite` would keep. */}}
{{- define "service.overlay" -}}
{{- $into := .into -}}
{{- range $key, $value := .over -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $into $key -}}
{{- else if and (kindIs "map" $value) (kindIs "map" (get $into $key)) -}}
{{- include "service.overlay" (dict "into" (get $into $key) "over" $value) -}}
{{- else -}}
{{- $_ := set $into $key $value -}}
{{- end -}}
{{- end -}}
{{- end }}
