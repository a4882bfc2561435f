#!/bin/bash
# Stands in for the image apache/kafka where it cannot be pulled: the same release's jars out of Maven Central, set up from the KAFKA_*
# variables by the class that the image uses for it. Called by the containers suite only.
set -euo pipefail

settings=/opt/kafka/config
java=(java -XX:+ExitOnOutOfMemoryError -XX:TieredStopAtLevel=1 "-Dlog4j.configuration=file:/stand-in/log4j.properties" -cp '/opt/kafka/jars/*')
export CLUSTER_ID=${CLUSTER_ID:-adtrack-stand-in-kafka}

if ! said=$("${java[@]}" kafka.docker.KafkaDockerWrapper setup --default-configs-dir /etc/kafka/docker --mounted-configs-dir /mnt/shared/config \
  --final-configs-dir "$settings" 2>&1); then
  case $said in
  *'already formatted'*) ;;
  *)
    printf '%s\n' "$said" >&2
    exit 1
    ;;
  esac
fi
# shellcheck disable=SC2086 # several options
exec "${java[@]}" ${KAFKA_HEAP_OPTS:-} kafka.Kafka "$settings/server.properties"
