#!/usr/bin/env bash
# From a fresh clone to a running server: installs what is missing, builds, starts adtrackd in the background on the embedded log
# with its data in ./data, and puts demo ads into an empty catalogue. Run again, it starts what is not running and repeats the
# hints. `quickstart.sh stop` stops it. The port is ADTRACK_HTTP_PORT, or 8080.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$root"

binary=$root/build/release/adtrackd
state=$root/build/quickstart
pid_file=$state/adtrackd.pid
log_file=$state/adtrackd.log
token_file=$state/admin.key # the demo's admin token, for the hints
key_file=$state/admin.keys  # what the server knows of it
ready_secs_max=60
stop_secs_max=15

# The process id of the server that this script started, or nothing.
running_pid() {
  local pid
  [ -r "$pid_file" ] || return 0
  pid=$(cat "$pid_file")
  case $(readlink "/proc/$pid/exe" 2>/dev/null) in
  "$binary" | "$binary (deleted)") echo "$pid" ;;
  esac
}

# The port that the running server's ready line names.
ready_port() { sed -n '/"event":"ready"/s/.*"port":\([0-9]*\).*/\1/p' "$log_file" | tail -n 1; }

start_server() {
  mkdir -p "$state"
  if [ ! -s "$token_file" ]; then
    (umask 077 && make_token >"$token_file")
    say "made an admin key for the demo in ${token_file#"$root"/}"
  fi
  key_line demo "$(cat "$token_file")" >"$key_file"
  [ ! -e "$log_file" ] || mv "$log_file" "$log_file.1"
  say "starting adtrackd with its data in ./data; it logs to ${log_file#"$root"/}"
  : >"$log_file"
  setsid "$binary" --data.dir "$root/data" --admin.key_file "$key_file" </dev/null >"$log_file" 2>&1 &
  echo $! >"$pid_file"
}

wait_until_ready() {
  local deadline=$((SECONDS + ready_secs_max))
  until [ -n "$(ready_port)" ] && curl -fsS -o /dev/null "http://127.0.0.1:$(ready_port)/readyz" 2>/dev/null; do
    [ -n "$(running_pid)" ] || die "adtrackd did not start, it said: $(tail -n 3 "$log_file")"
    [ "$SECONDS" -lt "$deadline" ] || die "adtrackd is not ready after $ready_secs_max s; see $log_file"
    sleep 0.1
  done
}

# create_ad TITLE DESCRIPTION URL
create_ad() {
  curl -fsS -o /dev/null "$base/api/v1/ads" -H "Authorization: Bearer $(cat "$token_file")" -H 'Content-Type: application/json' \
    -d "{\"title\":\"$1\",\"description\":\"$2\",\"url\":\"$3\"}" || die "a demo ad could not be created; see $log_file"
}

create_demo_ads() {
  local page
  page=$(curl -fsS "$base/api/v1/ads?page=1&limit=1") || die "the catalogue does not answer; see $log_file"
  case $page in
  *'"total":0,'* | *'"total":0}'*) ;;
  *) return 0 ;;
  esac
  say "the catalogue is empty: creating demo ads"
  create_ad 'Summer sale' 'Thirty seconds of beach' 'https://example.com/summer'
  create_ad 'Mountain bikes' 'A ride down the hill' 'https://example.com/bikes'
  create_ad 'Coffee at home' 'From bean to cup' 'https://example.com/coffee'
  create_ad 'City weekend' 'Two nights, one price' 'https://example.com/city'
  create_ad 'New headphones' 'Hear the difference' 'https://example.com/headphones'
}

hints() {
  cat <<TXT

adtrackd runs (process $(running_pid)) at $base. Try:

  # the dashboard, in a browser
  $base/

  # the ads
  curl '$base/api/v1/ads?page=1&limit=10'

  # a click, answered once it is on the disk; sent again, it still counts once
  curl -X POST '$base/api/v1/ads/click' -H 'Content-Type: application/json' -d '{
    "event_id": "$(cat /proc/sys/kernel/random/uuid)", "ad_id": 32, "user_ip": "203.0.113.7", "agent": "Mozilla/5.0",
    "play_time_secs": 30, "watched_percent": 80, "timestamp": $(date +%s)}'

  # what was counted in the hour around now
  curl '$base/api/v1/ads/analytics?ad_id=32&since=$(date -u -d '-30 minutes' +%FT%TZ)&until=$(date -u -d '+30 minutes' +%FT%TZ)'

  # what Prometheus reads
  curl '$base/metrics'

  # a new ad, with the demo's admin key
  curl '$base/api/v1/ads' -H "Authorization: Bearer \$(cat ${token_file#"$root"/})" -H 'Content-Type: application/json' \\
    -d '{"title": "Mine", "url": "https://example.com/mine"}'

  # a backup while it runs, and the proof that it comes back
  scripts/backup.sh build/backups --url $base --key-file ${token_file#"$root"/}
  scripts/restore.sh build/backups --check

Stop it with scripts/quickstart.sh stop; its data stays in ./data. Its log is ${log_file#"$root"/}.
TXT
}

stop_server() {
  local pid deadline=$((SECONDS + stop_secs_max))
  pid=$(running_pid)
  if [ -z "$pid" ]; then
    say "adtrackd is not running"
    return 0
  fi
  say "stopping adtrackd (process $pid)"
  kill -TERM "$pid"
  while [ -n "$(running_pid)" ]; do
    [ "$SECONDS" -lt "$deadline" ] || die "process $pid did not end within $stop_secs_max s; see $log_file"
    sleep 0.1
  done
  rm -f "$pid_file"
  say "stopped; the data stays in ./data"
}

case ${1:-start} in
start) ;;
stop)
  stop_server
  exit 0
  ;;
*) die "unknown command $1: start (the default) or stop" ;;
esac

if [ -n "$(running_pid)" ]; then
  say "adtrackd is running already"
else
  install_packages "${packages_build[@]}"
  build release adtrackd
  start_server
fi
wait_until_ready
base=http://127.0.0.1:$(ready_port)
create_demo_ads
hints
