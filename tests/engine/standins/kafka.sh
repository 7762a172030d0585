#!/bin/bash
# Apache Kafka as the official image starts it: Kafka's own wrapper turns KAFKA_* into properties and formats storage.
set -euo pipefail
class_path="/opt/kafka/libs/*"
java=/opt/java/bin/java
export CLUSTER_ID=${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}
said=$($java -Xmx128m -cp "$class_path" kafka.docker.KafkaDockerWrapper setup --default-configs-dir /etc/kafka/docker \
  --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) \
  || grep -qi "already formatted" <<<"$said" || { echo "$said" >&2; exit 1; }
exec $java ${KAFKA_HEAP_OPTS:--Xmx1G} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
  -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$class_path" kafka.Kafka /opt/kafka/config/server.properties
