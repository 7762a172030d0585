{{/* The plain settings of a service; what is empty stays unset, so that the image's default holds. */}}
{{- define "service.settings" -}}
{{- $settings := include "service.settings.process" . | fromYaml -}}
{{- range list "database" "kafka" "redis" "auth" -}}
{{- $settings = merge $settings (include (printf "service.settings.%s" .) $ | fromYaml | default dict) -}}
{{- end -}}
{{- $settings = mergeOverwrite $settings .Values.urls .Values.config -}}
{{- range $name, $value := $settings }}
{{- if ne (toString $value) "" }}
{{ $name }}: {{ include "service.text" $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* Every number arrives as a float: as text, one above a million would read 1.048576e+06. */}}
{{- define "service.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ . | int64 | toString | quote }}{{ else }}{{ . | toString | quote }}{{ end -}}
{{- end }}

{{- define "service.settings.process" -}}
APP_ENV: {{ .Values.appEnv | quote }}
APP_VERSION: {{ splitList "@" .Values.image.tag | first | quote }}
SHUTDOWN_DRAIN_SECONDS: {{ .Values.drainSeconds }}
{{- $name := .Chart.Name | upper | replace "-" "_" -}}
{{- $ports := get .Table.ports .Chart.Name -}}
{{- if $ports.grpc }}
{{ $name }}_HTTP_PORT: {{ $ports.http }}
{{ $name }}_GRPC_PORT: {{ $ports.grpc }}
{{- else }}
{{ $name }}_PORT: {{ $ports.http }}
{{- end }}
{{- end }}

{{- define "service.settings.database" -}}
{{- with .Values.database }}{{ if .enabled }}
{{- if or .host (not .existingSecret) }}
DATABASE_URL: {{ printf "postgresql://%s:%v/%s" (.host | default (printf "%s-db" $.Chart.Name)) .port .name | quote }}
{{- end }}
{{- if .existingSecret }}
DATABASE_SECRET_DIR: /etc/healthcare/database
{{- end }}
DATABASE_TLS: {{ .tls | quote }}
{{- if .caSecret }}
DATABASE_CA_FILE: /etc/healthcare/database-ca/ca.crt
{{- end }}
{{- if $.Values.migrations.enabled }}
DDL_AUTO: validate
{{- end }}
{{- end }}{{ end }}
{{- end }}

{{- define "service.settings.kafka" -}}
{{- with .Values.kafka }}{{ if .enabled }}
KAFKA_BOOTSTRAP_SERVERS: {{ .bootstrapServers | quote }}
KAFKA_TOPIC_PREFIX: {{ .topicPrefix | quote }}
KAFKA_CREATE_TOPICS: {{ .createTopics }}
KAFKA_TOPIC_PARTITIONS: {{ .partitions }}
KAFKA_REPLICATION_FACTOR: {{ .replicationFactor }}
KAFKA_SECURITY_PROTOCOL: {{ .securityProtocol | quote }}
KAFKA_SASL_MECHANISM: {{ .saslMechanism | quote }}
{{- if .existingSecret }}
KAFKA_PASSWORD_FILE: /etc/healthcare/kafka/password
{{- if .username }}
KAFKA_USERNAME: {{ .username | quote }}
{{- else }}
KAFKA_USERNAME_FILE: /etc/healthcare/kafka/username
{{- end }}
{{- end }}
{{- if .caSecret }}
KAFKA_CA_FILE: /etc/healthcare/kafka-ca/ca.crt
{{- end }}
{{- end }}{{ end }}
{{- end }}

{{- define "service.settings.redis" -}}
{{- with .Values.redis }}{{ if .enabled }}
REDIS_HOST: {{ .host | quote }}
REDIS_PORT: {{ .port }}
REDIS_USERNAME: {{ .username | quote }}
{{- if .existingSecret }}
REDIS_PASSWORD_FILE: /etc/healthcare/redis/password
{{- end }}
{{- if .tls }}
REDIS_TLS: true
{{- end }}
{{- if .caSecret }}
REDIS_CA_FILE: /etc/healthcare/redis-ca/ca.crt
{{- end }}
{{- else if hasKey $.Values.config "CACHE_TTL_SECONDS" }}
CACHE_TYPE: none
{{- end }}{{ end }}
{{- end }}

{{- define "service.settings.auth" -}}
{{- with .Values.auth }}
{{- if not .jwksUrl }}
{{- if .existingSecret }}
JWT_SECRET_FILE: /etc/healthcare/auth/jwt-secret
{{- end }}
{{- else if ne $.Chart.Name "auth-service" }}
JWT_JWKS_URL: {{ .jwksUrl | quote }}
{{- else if .existingSecret }}
JWT_PRIVATE_KEY_FILE: /etc/healthcare/auth/jwt-private-key
{{- else }}
{{- fail "auth.jwksUrl means RS256: auth-service then needs auth.existingSecret, the Secret with its jwt-private-key" }}
{{- end }}
{{- if .adminEmail }}
{{- if or (not .adminSecret) (ne $.Chart.Name "auth-service") }}{{ fail "auth.adminEmail is auth-service's, and needs auth.adminSecret, the Secret with its password" }}{{ end }}
ADMIN_EMAIL: {{ .adminEmail | quote }}
ADMIN_PASSWORD_FILE: /etc/healthcare/admin/password
{{- end }}
{{- end }}
{{- end }}

{{- define "service.configmap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "service.metadata" . | nindent 2 }}
data:
  {{- include "service.settings" . | nindent 2 }}
{{- end }}
