{{/*
"" where the release is named for the chart ("patient" for patient-service): then names are the platform's own,
which the other services' defaults expect. Otherwise "<release>-", so that two releases fit in one namespace.
*/}}
{{- define "service.prefix" -}}
{{- if not (contains .Release.Name .Chart.Name) }}{{ .Release.Name }}-{{ end -}}
{{- end }}

{{- define "service.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end }}

{{- define "service.fullname" -}}
{{- $name := .Values.fullnameOverride | default (printf "%s%s" (include "service.prefix" .) (include "service.name" .)) -}}
{{- if gt (len $name) 52 }}{{ fail (printf "%s is longer than 52 characters, the most that a name may have here: set fullnameOverride" $name) }}{{ end -}}
{{- $name -}}
{{- end }}

{{- define "service.image" -}}
{{- include "part.image" (dict "image" (merge (dict "repository" (.Values.image.repository | default .Chart.Name)) .Values.image) "global" .Values.global) -}}
{{- end }}
