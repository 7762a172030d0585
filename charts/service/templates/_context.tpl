{{/*
Fills the dict `into` with what every other template reads: the chart's values laid over the library's defaults, and
the table of connections (a library's own .Files is the chart's that includes it). Without `lookup` and
`.Capabilities`: rendering is a pure function of the values.
*/}}
{{- define "service.context" -}}
{{- $root := .root -}}
{{- $_ := set .into "Values" (mergeOverwrite (deepCopy $root.Values.service) (omit $root.Values "service" "global")) -}}
{{- $_ := set .into "Release" $root.Release -}}
{{- $_ := set .into "Chart" $root.Chart -}}
{{- $_ := set .into "Table" ($root.Subcharts.service.Files.Get "connections.yaml" | fromYaml) -}}
{{- $_ := set .into "component" $root.Chart.Name -}}
{{- end }}
