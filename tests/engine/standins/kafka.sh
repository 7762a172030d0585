#!/bin/bash
# Apache Kafka as the official image starts it: Kafka's own wrapper turns KAFKA_* into properties and formats storage.
set -euo pipefail
class_path="/opt/kafka/libs/*"
java=/opt/java/bin/java
export CLUSTER_ID=${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}
said=$(setup=$($java -Xmx128m -cp "$class_path" kafka.docker.KafkaDockerWrapper setup \
  --default-configs-dir /etc/kafka/docker --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) \
  || grep -qi "already formatted" <<<"$setup" || { echo "$setup" >&2; exit 1; } # as the official image: a restart is no error
exec $java ${KAFKA_HEAP_OPTS:--Xmx1G} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
  -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$class_path" kafka.Kafka /opt/kafka/config/server.properties
