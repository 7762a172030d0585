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
{{- $name := printf "%s%s" (include "service.prefix" .) (include "service.name" .) -}}
{{- .Values.fullnameOverride | default ($name | trunc 52 | trimSuffix "-") -}}
{{- end }}

{{- define "service.image" -}}
{{- $repository := .Values.image.repository | default .Chart.Name -}}
{{- if .Values.image.digest }}{{ $repository }}@{{ .Values.image.digest }}{{ else }}{{ $repository }}:{{ .Values.image.tag }}{{ end -}}
{{- end }}
