{{/*
Pod Security "restricted", and a read-only root on top of it. The context is a chart's values: `openshift` leaves the
ids to the platform, which gives each namespace a range of its own. Where values have `podSecurityContext` and
`securityContext`, they are whole: the defaults are among the library's values, so that a null can remove a field.
*/}}
{{- define "pod.security" -}}
{{- $usual := dict "runAsNonRoot" true "runAsUser" 10001 "runAsGroup" 10001 "fsGroup" 10001
  "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- $own := .podSecurityContext | default $usual -}}
{{- if .openshift }}{{ $own = omit $own "runAsUser" "runAsGroup" "fsGroup" }}{{ end -}}
{{- toYaml $own -}}
{{- end }}

{{- define "container.security" -}}
{{- $usual := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- .securityContext | default $usual | toYaml -}}
{{- end }}

{{/* Which nodes take a pod, how much it matters, and with which Secrets they pull. The context is a chart's values. */}}
{{- define "pod.placement" -}}
{{- $secrets := .imagePullSecrets | default list -}}
{{- range (.global | default dict).imagePullSecrets -}}
{{- $secrets = append $secrets (ternary (dict "name" .) . (kindIs "string" .)) -}}
{{- end -}}
{{- $placement := dict "imagePullSecrets" (uniq $secrets) -}}
{{- range $key := list "priorityClassName" "nodeSelector" "tolerations" "affinity" -}}
{{- $_ := set $placement $key (get $ $key) -}}
{{- end -}}
{{- range $key, $value := $placement }}
{{- with $value }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/*
What every pod of the platform has in common. No service links: Kubernetes would inject PATIENT_SERVICE_PORT=tcp://…
over the settings of that name.
*/}}
{{- define "service.podbase" -}}
serviceAccountName: {{ include "service.fullname" . | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "pod.security" .Values | nindent 2 }}
{{- include "pod.placement" .Values }}
{{- end }}

{{- define "service.serviceaccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "service.metadata" . | nindent 2 }}
automountServiceAccountToken: false
{{- end }}
