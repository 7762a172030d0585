{{/* Everything that a service is to Kubernetes. A service chart's only template includes this. */}}
{{- define "service.context" -}}
{{- $v := include "service.values" . | fromYaml -}}
{{- $component := include "service.component" . -}}
{{- $version := $v.image.digest | default (toString $v.image.tag) | replace ":" "_" | trunc 63 -}}
{{- $name := $v.fullnameOverride | default $component -}}
{{- toYaml (dict "v" $v "component" $component "version" (toString $version) "name" $name) -}}
{{- end -}}

{{- define "service.all" -}}
{{- $context := include "service.context" . | fromYaml -}}
{{- $_ := set $context "root" . -}}
{{- $_ := set $context "config" (include "service.config" $context) -}}
{{- $_ := set $context "secrets" (include "service.secrets" $context | fromYaml) -}}
{{- include "service.account" $context -}}
{{- include "service.configmap" $context -}}
{{- include "service.services" $context -}}
{{- include "service.deployment" $context -}}
{{- include "service.scaling" $context -}}
{{- include "service.network" $context -}}
{{- include "service.monitor" $context -}}
{{- include "service.exposure" $context -}}
{{- end -}}
