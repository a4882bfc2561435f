#!/usr/bin/env bash
# A real Apache Kafka on loopback for development, tests and trying things out: KRaft, one or three brokers, each a controller too.
# Its jars come from Maven Central once and are kept in the user's cache; its data, settings, logs and process ids are in --dir.
# Not for production: small heaps, no authentication. start is repeatable: it starts the brokers that do not run.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

pom=$root/scripts/kafka/pom.xml
jars=${XDG_CACHE_HOME:-$HOME/.cache}/adtrack/kafka/$(sed -n 's|.*<version>\(3[0-9.]*\)</version>.*|\1|p' "$pom")
ready_secs_max=90
stop_secs_max=20
fetch_secs_max=300

usage() {
  cat <<TXT
kafka-dev.sh start|stop|status|fetch [--brokers N] [--only I] [--dir D] [--port P] [--advertise P] [--secure]

  start       starts the brokers that do not run, waits until each takes clients, prints the --kafka.brokers to use
  stop        ends the brokers of that folder, and only them; their data stays
  status      says which run; exit code 0 when all do
  fetch       gets the jars only; exit code 0 when they are there
  --brokers N 1 (the default) or 3; fixed by the first start in a folder
  --only I    start no broker but this one: to see how the others' absence shows
  --dir D     data, settings, logs and broker-<i>.pid files (default ./data/kafka-dev)
  --port P    port of the first broker on 127.0.0.1, the others follow; controllers are at P+10 on (default 9092)
  --advertise P  port that the first broker tells clients instead of its own: where a proxy for it listens
  --secure    one broker also listens for TLS with a user (P+15: PLAIN, SCRAM-SHA-256; user adtrack, password in D/tls/password)
              and for mutual TLS (P+16); its authority, certificates and keys are made in D/tls; fixed by the first start

Three brokers keep three replicas of a topic and need two of them for a write; one broker needs --kafka.allow_unsafe.
TXT
}

command=
brokers=
dir=
port=
advertise=
secure=
only=
while [ $# -gt 0 ]; do
  case $1 in
  start | stop | status | fetch) command=$1 ;;
  --brokers | --only | --dir | --port | --advertise)
    [ $# -ge 2 ] || die "$1 needs a value"
    case $1 in
    --brokers) brokers=$2 ;;
    --only) only=$2 ;;
    --dir) dir=$2 ;;
    --port) port=$2 ;;
    --advertise) advertise=$2 ;;
    esac
    shift
    ;;
  --secure) secure=yes ;;
  --help | -h)
    usage
    exit 0
    ;;
  *) die "unknown argument $1: --help says what there is" ;;
  esac
  shift
done
[ -n "$command" ] || {
  usage >&2
  exit 2
}
dir=$(realpath -m "${dir:-$root/data/kafka-dev}")

# What the first start in this folder decided holds from then on: the brokers' metadata names ports and voters.
kept() { cat "$dir/$1" 2>/dev/null || true; }
agree() {
  local name=$1 given=$2 default=$3 before
  before=$(kept "$name")
  [ -z "$before" ] || [ -z "$given" ] || [ "$before" = "$given" ] ||
    die "$dir was made with $name=$before: use that, another --dir, or remove the folder"
  echo "${before:-${given:-$default}}"
}
brokers=$(agree brokers "$brokers" 1)
port=$(agree port "$port" 9092)
advertise=$(agree advertise "$advertise" "$port")
secure=$(agree secure "$secure" no)
case $brokers in 1 | 3) ;; *) die "--brokers is $brokers: must be 1 or 3" ;; esac
[ "$secure" = no ] || [ "$brokers" = 1 ] || die "--secure is for one broker"
if [ -z "$only" ]; then
  chosen=$(seq "$brokers")
else
  chosen=$only
  seq "$brokers" | grep -qxF "$only" || die "--only is $only: there are brokers 1 to $brokers"
fi
case $port in '' | *[!0-9]*) die "--port is $port: must be a number" ;; esac
case $advertise in '' | *[!0-9]*) die "--advertise is $advertise: must be a number" ;; esac

broker_port() { echo $((port + $1 - 1)); }
client_port() { if [ "$1" = 1 ]; then echo "$advertise"; else broker_port "$1"; fi; }
controller_port() { echo $((port + 9 + $1)); }
pid_file() { echo "$dir/broker-$1.pid"; }
settings_file() { echo "$dir/broker-$1.properties"; }
log_file() { echo "$dir/broker-$1.log"; }

# The process id of broker $1 when it runs, or nothing: another process may have got its number.
running_pid() {
  local pid
  pid=$(cat "$(pid_file "$1")" 2>/dev/null) || return 0
  if [ -n "$pid" ] && tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF "$(settings_file "$1")"; then echo "$pid"; fi
}

voter() { echo "$1@127.0.0.1:$(controller_port "$1")"; }
address() { echo "127.0.0.1:$(client_port "$1")"; }

# joined FUNCTION: what it says of each broker, with commas.
joined() {
  local i out=
  for ((i = 1; i <= brokers; ++i)); do out+=${out:+,}$("$1" "$i"); done
  echo "$out"
}

fetch() {
  [ ! -e "$jars/complete" ] || return 0
  install_packages "${packages_kafka[@]}"
  say "getting Kafka's jars into $jars"
  mkdir -p "$jars"
  timeout "$fetch_secs_max" mvn -q -B -f "$pom" dependency:copy-dependencies -DoutputDirectory="$jars" -Dmdep.overWriteIfNewer=true ||
    die "Maven could not get Kafka: is there a network, and do its settings name a mirror that works?"
  touch "$jars/complete"
}

user_port() { echo $((port + 15)); }
mutual_port() { echo $((port + 16)); }

# sign NAME SUBJECT: a key and a certificate of our authority, in D/tls; good for 127.0.0.1.
sign() {
  openssl req -new -newkey rsa:2048 -nodes -keyout "$1.key" -subj "$2" -out "$1.request" 2>/dev/null &&
    openssl x509 -req -in "$1.request" -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -out "$1.pem" 2>/dev/null \
      -extfile <(echo 'subjectAltName=IP:127.0.0.1')
}

# Chained, as `set -e` is off where the outcome is asked for: half of it must not count as made.
make_certificates() {
  cd "$dir/tls" &&
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 3650 -subj '/CN=kafka-dev authority' 2>/dev/null &&
    sign broker '/CN=broker' &&
    sign client '/CN=adtrack' &&
    cat broker.key broker.pem >broker-both.pem &&
    head -c 18 /dev/urandom | base64 | tr '+/' '-_' >password &&
    touch complete
}

make_tls() {
  [ ! -e "$dir/tls/complete" ] || return 0
  mkdir -p "$dir/tls"
  chmod 700 "$dir/tls"
  (make_certificates) || die "openssl could not make certificates in $dir/tls"
}

secure_settings() {
  local jaas=org.apache.kafka.common.security
  cat <<TXT
listeners=CLIENTS://127.0.0.1:$port,CONTROLLER://127.0.0.1:$(controller_port 1),USER://127.0.0.1:$(user_port),MUTUAL://127.0.0.1:$(mutual_port)
advertised.listeners=CLIENTS://127.0.0.1:$advertise,USER://127.0.0.1:$(user_port),MUTUAL://127.0.0.1:$(mutual_port)
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT,USER:SASL_SSL,MUTUAL:SSL
ssl.keystore.type=PEM
ssl.keystore.location=$dir/tls/broker-both.pem
ssl.truststore.type=PEM
ssl.truststore.location=$dir/tls/ca.pem
listener.name.mutual.ssl.client.auth=required
listener.name.user.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.user.plain.sasl.jaas.config=$jaas.plain.PlainLoginModule required user_adtrack="$(cat "$dir/tls/password")";
listener.name.user.scram-sha-256.sasl.jaas.config=$jaas.scram.ScramLoginModule required;
TXT
}

write_settings() {
  local i=$1 insync=1
  [ "$brokers" = 1 ] || insync=2
  cat >"$(settings_file "$i")" <<TXT
process.roles=broker,controller
node.id=$i
controller.quorum.voters=$(joined voter)
listeners=CLIENTS://127.0.0.1:$(broker_port "$i"),CONTROLLER://127.0.0.1:$(controller_port "$i")
advertised.listeners=CLIENTS://127.0.0.1:$(client_port "$i")
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENTS
log.dirs=$dir/broker-$i
auto.create.topics.enable=false
default.replication.factor=$brokers
min.insync.replicas=$insync
offsets.topic.replication.factor=$brokers
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$brokers
transaction.state.log.min.isr=$insync
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
TXT
  # The later of two lines holds.
  [ "$secure" = no ] || secure_settings >>"$(settings_file "$i")"
}

# run_java HEAP CLASS ARGUMENT...
run_java() {
  local heap=$1
  shift
  exec java "-Xmx$heap" -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true "-Dlog4j.configuration=file:$dir/log4j.properties" \
    -cp "$jars/*" "$@"
}

make_folder() {
  mkdir -p "$dir"
  [ -s "$dir/cluster" ] || head -c 16 /dev/urandom | base64 | tr '+/' 'Az' | tr -d '=' >"$dir/cluster" # an id that begins with - would pass for an option
  echo "$brokers" >"$dir/brokers"
  echo "$port" >"$dir/port"
  echo "$advertise" >"$dir/advertise"
  echo "$secure" >"$dir/secure"
  [ "$secure" = no ] || make_tls
  cat >"$dir/log4j.properties" <<'TXT'
log4j.rootLogger=WARN, console
log4j.logger.kafka.server.KafkaRaftServer=INFO
log4j.logger.kafka.server.BrokerServer=INFO
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c: %m%n
TXT
}

start_broker() {
  local i=$1 settings
  settings=$(settings_file "$i")
  if (exec 3<>"/dev/tcp/127.0.0.1/$(broker_port "$i")") 2>/dev/null; then
    die "port $(broker_port "$i") is taken by another process: give another --port"
  fi
  write_settings "$i"
  local scram=()
  [ "$secure" = no ] || scram=(--add-scram "SCRAM-SHA-256=[name=adtrack,password=$(cat "$dir/tls/password")]")
  (run_java 128m kafka.tools.StorageTool format --ignore-formatted -t "$(cat "$dir/cluster")" -c "$settings" "${scram[@]}") \
    >"$dir/format-$i.log" 2>&1 || die "the folder of broker $i could not be formatted: $(tail -n 1 "$dir/format-$i.log")"
  [ ! -e "$(log_file "$i")" ] || mv "$(log_file "$i")" "$(log_file "$i").1"
  : >"$(log_file "$i")"
  (cd "$dir" && run_java 384m kafka.Kafka "$settings") </dev/null >>"$(log_file "$i")" 2>&1 &
  echo $! >"$(pid_file "$i")"
  disown $!
}

wait_for_broker() {
  local i=$1 deadline=$((SECONDS + ready_secs_max))
  until grep -q 'Kafka Server started' "$(log_file "$i")"; do
    [ -d "/proc/$(cat "$(pid_file "$i")")" ] || die "broker $i ended: $(tail -n 3 "$(log_file "$i")")"
    [ "$SECONDS" -lt "$deadline" ] || die "broker $i takes no clients after $ready_secs_max s; see $(log_file "$i")"
    sleep 0.2
  done
}

start() {
  local i
  fetch
  make_folder
  for i in $chosen; do
    [ -n "$(running_pid "$i")" ] || start_broker "$i"
  done
  for i in $chosen; do wait_for_broker "$i"; done
  if [ "$brokers" = 1 ]; then
    say "Kafka runs: --log.backend kafka --kafka.brokers $(joined address) --kafka.allow_unsafe true"
    if [ "$secure" = yes ]; then
      say "with a user: --kafka.brokers 127.0.0.1:$(user_port) --kafka.security_protocol sasl_ssl --kafka.sasl_mechanism SCRAM-SHA-256" \
        "--kafka.sasl_username adtrack --kafka.sasl_password_file $dir/tls/password --kafka.ssl_ca_file $dir/tls/ca.pem"
      say "by certificate: --kafka.brokers 127.0.0.1:$(mutual_port) --kafka.security_protocol ssl --kafka.ssl_ca_file $dir/tls/ca.pem" \
        "--kafka.ssl_certificate_file $dir/tls/client.pem --kafka.ssl_key_file $dir/tls/client.key"
    fi
  else
    say "Kafka runs: --log.backend kafka --kafka.brokers $(joined address)"
  fi
}

stop() {
  local i pid deadline=$((SECONDS + stop_secs_max))
  for ((i = 1; i <= brokers; ++i)); do
    pid=$(running_pid "$i")
    # One that was stopped for a test would not see the other signal.
    [ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null || true
    [ -z "$pid" ] || kill -CONT "$pid" 2>/dev/null || true
  done
  for ((i = 1; i <= brokers; ++i)); do
    while pid=$(running_pid "$i") && [ -n "$pid" ]; do
      # The last brokers of three wait for a quorum that is gone.
      [ "$SECONDS" -lt "$deadline" ] || kill -KILL "$pid" 2>/dev/null || true
      sleep 0.2
    done
    rm -f "$(pid_file "$i")"
  done
  say "Kafka is stopped; its data stays in $dir"
}

status() {
  local i pid running=0
  for ((i = 1; i <= brokers; ++i)); do
    pid=$(running_pid "$i")
    if [ -n "$pid" ]; then
      running=$((running + 1))
      echo "broker $i at 127.0.0.1:$(broker_port "$i"): process $pid"
    else
      echo "broker $i at 127.0.0.1:$(broker_port "$i"): not running"
    fi
  done
  [ "$running" = "$brokers" ]
}

"$command"
