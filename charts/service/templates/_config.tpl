{{/* Plain settings of a service, as a map of variables. Secrets are files and never stand here. */}}
{{- define "service.config" -}}
{{- $v := .v -}}
{{- $config := dict
  "APP_ENV" $v.appEnv
  "APP_VERSION" .version
  $v.portVariable (toString (int $v.ports.http))
  "SHUTDOWN_DRAIN_SECONDS" (toString $v.drainSeconds)
-}}
{{- if $v.database.enabled -}}
{{- $_ := set $config "DDL_AUTO" (ternary "validate" "update" $v.migrations.enabled) -}}
{{- $_ := set $config "DATABASE_TLS" $v.database.tls -}}
{{- if $v.database.existingSecret }}{{ $_ := set $config "DATABASE_SECRET_DIR" "/etc/healthcare/database" }}{{ end -}}
{{- if or $v.database.host (not $v.database.existingSecret) -}}
{{- $host := $v.database.host | default (printf "%s-db" .component) -}}
{{- $_ := set $config "DATABASE_URL" (printf "postgresql://%s:%d/%s" $host (int $v.database.port) ($v.database.name | default "db")) -}}
{{- end -}}
{{- if $v.database.caSecret }}{{ $_ := set $config "DATABASE_CA_FILE" "/etc/healthcare/database-ca/ca.crt" }}{{ end -}}
{{- end -}}
{{- if $v.kafka.enabled -}}
{{- $_ := set $config "KAFKA_BOOTSTRAP_SERVERS" $v.kafka.bootstrapServers -}}
{{- $_ := set $config "KAFKA_TOPIC_PREFIX" $v.kafka.topicPrefix -}}
{{- $_ := set $config "KAFKA_CREATE_TOPICS" (toString $v.kafka.createTopics) -}}
{{- $_ := set $config "KAFKA_TOPIC_PARTITIONS" (toString (int $v.kafka.partitions)) -}}
{{- $_ := set $config "KAFKA_REPLICATION_FACTOR" (toString (int $v.kafka.replicationFactor)) -}}
{{- $_ := set $config "KAFKA_SECURITY_PROTOCOL" $v.kafka.securityProtocol -}}
{{- if $v.kafka.existingSecret -}}
{{- $_ := set $config "KAFKA_SASL_MECHANISM" $v.kafka.saslMechanism -}}
{{- $_ := set $config "KAFKA_USERNAME" $v.kafka.username -}}
{{- $_ := set $config "KAFKA_PASSWORD_FILE" "/etc/healthcare/kafka/password" -}}
{{- end -}}
{{- if $v.kafka.caSecret }}{{ $_ := set $config "KAFKA_CA_FILE" "/etc/healthcare/kafka-ca/ca.crt" }}{{ end -}}
{{- end -}}
{{- if $v.redis.enabled -}}
{{- $_ := set $config "REDIS_HOST" $v.redis.host -}}
{{- $_ := set $config "REDIS_PORT" (toString (int $v.redis.port)) -}}
{{- $_ := set $config "REDIS_TLS" (toString $v.redis.tls) -}}
{{- if $v.redis.existingSecret }}{{ $_ := set $config "REDIS_PASSWORD_FILE" "/etc/healthcare/redis/password" }}{{ end -}}
{{- if $v.redis.caSecret }}{{ $_ := set $config "REDIS_CA_FILE" "/etc/healthcare/redis-ca/ca.crt" }}{{ end -}}
{{- else -}}
{{- $_ := set $config "CACHE_TYPE" "none" -}}
{{- end -}}
{{- if and $v.auth.jwksUrl (not $v.auth.issuer) -}}
{{- $_ := set $config "JWT_JWKS_URL" $v.auth.jwksUrl -}}
{{- else if and $v.auth.existingSecret $v.auth.issuer $v.auth.jwksUrl -}}
{{- $_ := set $config "JWT_PRIVATE_KEY_FILE" "/etc/healthcare/auth/jwt-private-key" -}}
{{- else if $v.auth.existingSecret -}}
{{- $_ := set $config "JWT_SECRET_FILE" "/etc/healthcare/auth/jwt-secret" -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config $v.config $v.urls $v.env) -}}
{{- end -}}

{{/* Where secrets are mounted: name of the volume → Secret and its keys (none: all). */}}
{{- define "service.secrets" -}}
{{- $v := .v -}}
{{- $s := dict -}}
{{- if and $v.database.enabled $v.database.existingSecret }}{{ $_ := set $s "database" (dict "secret" $v.database.existingSecret) }}{{ end -}}
{{- if and $v.database.enabled $v.database.caSecret }}{{ $_ := set $s "database-ca" (dict "secret" $v.database.caSecret "keys" (list "ca.crt")) }}{{ end -}}
{{- if and $v.kafka.enabled $v.kafka.existingSecret }}{{ $_ := set $s "kafka" (dict "secret" $v.kafka.existingSecret "keys" (list "password")) }}{{ end -}}
{{- if and $v.kafka.enabled $v.kafka.caSecret }}{{ $_ := set $s "kafka-ca" (dict "secret" $v.kafka.caSecret "keys" (list "ca.crt")) }}{{ end -}}
{{- if and $v.redis.enabled $v.redis.existingSecret }}{{ $_ := set $s "redis" (dict "secret" $v.redis.existingSecret "keys" (list "password")) }}{{ end -}}
{{- if and $v.redis.enabled $v.redis.caSecret }}{{ $_ := set $s "redis-ca" (dict "secret" $v.redis.caSecret "keys" (list "ca.crt")) }}{{ end -}}
{{- if $v.auth.existingSecret -}}
{{- if and $v.auth.issuer $v.auth.jwksUrl }}{{ $_ := set $s "auth" (dict "secret" $v.auth.existingSecret "keys" (list "jwt-private-key")) -}}
{{- else if not $v.auth.jwksUrl }}{{ $_ := set $s "auth" (dict "secret" $v.auth.existingSecret "keys" (list "jwt-secret")) }}{{ end -}}
{{- end -}}
{{- toYaml $s -}}
{{- end -}}
