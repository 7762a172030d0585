{{- define "service.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "service.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- range $volume, $_ := .secrets }}
- {name: {{ $volume }}, mountPath: /etc/healthcare/{{ $volume }}, readOnly: true}
{{- end }}
{{- end -}}

{{- define "service.container" -}}
image: {{ include "service.image" . }}
imagePullPolicy: {{ .v.image.pullPolicy }}
envFrom:
  - configMapRef: {name: {{ .name }}}
securityContext:
  {{- include "service.security" . | nindent 2 }}
volumeMounts:
  {{- include "service.mounts" . | nindent 2 }}
{{- end -}}

{{- define "service.probe" -}}
httpGet: {path: {{ .path }}, port: http}
{{- range $field, $value := .settings }}
{{ $field }}: {{ $value }}
{{- end }}
{{- end -}}

{{- define "service.deployment" }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "service.metadata" . | nindent 2 }}
spec:
  {{- if not .v.autoscaling.enabled }}
  replicas: {{ .v.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  progressDeadlineSeconds: 600
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels:
      {{- include "service.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "service.labels" . | nindent 8 }}
      annotations:
        checksum/config: {{ .config | sha256sum }}
        {{- with .v.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ .name }}
      automountServiceAccountToken: false
      # Or Kubernetes would set PATIENT_SERVICE_PORT=tcp://… over our settings.
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ .v.terminationGracePeriodSeconds }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        runAsGroup: 10001
        fsGroup: 10001
        seccompProfile: {type: RuntimeDefault}
      {{- with .v.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if and .v.database.enabled .v.migrations.enabled }}
      initContainers:
        - name: migrate
          command: [python, -m, {{ .v.module }}, migrate]
          {{- include "service.container" . | nindent 10 }}
          resources:
            {{- toYaml .v.resources | nindent 12 }}
      {{- end }}
      containers:
        - name: service
          command: [python, -m, {{ .v.module }}]
          {{- include "service.container" . | nindent 10 }}
          ports:
            - {name: http, containerPort: {{ .v.ports.http }}}
            {{- if .v.ports.grpc }}
            - {name: grpc, containerPort: {{ .v.ports.grpc }}}
            {{- end }}
          startupProbe:
            {{- include "service.probe" (dict "path" "/actuator/health/liveness" "settings" .v.probes.startup) | nindent 12 }}
          readinessProbe:
            {{- include "service.probe" (dict "path" "/actuator/health/readiness" "settings" .v.probes.readiness) | nindent 12 }}
          livenessProbe:
            {{- include "service.probe" (dict "path" "/actuator/health/liveness" "settings" .v.probes.liveness) | nindent 12 }}
          resources:
            {{- toYaml .v.resources | nindent 12 }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "service.selector" . | nindent 14 }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
        {{- range $volume, $s := .secrets }}
        - name: {{ $volume }}
          secret:
            secretName: {{ $s.secret }}
            defaultMode: 288
            {{- with $s.keys }}
            items:
              {{- range . }}
              - {key: {{ . }}, path: {{ . }}}
              {{- end }}
            {{- end }}
        {{- end }}
      {{- with .v.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .v.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .v.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .v.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
{{- end -}}
