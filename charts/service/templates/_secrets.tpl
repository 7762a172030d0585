{{/* Folder under /etc/healthcare → Secret: a secret is always a file, never a variable. */}}
{{- define "service.secrets" -}}
{{- $v := .Values -}}
{{- $found := dict -}}
{{- range $part := list "database" "kafka" "redis" -}}
{{- with get $v $part }}{{ if .enabled -}}
{{- if .existingSecret }}{{ $_ := set $found $part .existingSecret }}{{ end -}}
{{- if .caSecret }}{{ $_ := set $found (printf "%s-ca" $part) .caSecret }}{{ end -}}
{{- end }}{{ end -}}
{{- end -}}
{{- if and $v.auth.existingSecret (or (not $v.auth.jwksUrl) (eq .Chart.Name "auth-service")) -}}
{{- $_ := set $found "auth" $v.auth.existingSecret -}}
{{- end -}}
{{- if $v.auth.adminEmail }}{{ $_ := set $found "admin" $v.auth.adminSecret }}{{ end -}}
{{- toYaml $found -}}
{{- end }}

{{- define "service.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- range $folder, $secret := include "service.secrets" . | fromYaml }}
- name: {{ $folder }}
  {{- /* An authority's Secret may hold its private key beside the certificate, as CloudNativePG's does. */}}
  secret: {secretName: {{ $secret | quote }}, defaultMode: 0440{{ if hasSuffix "-ca" $folder }}, items: [{key: ca.crt, path: ca.crt}]{{ end }}}
{{- end }}
{{- end }}

{{- define "service.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- range $folder, $secret := include "service.secrets" . | fromYaml }}
- {name: {{ $folder }}, mountPath: /etc/healthcare/{{ $folder }}, readOnly: true}
{{- end }}
{{- end }}
