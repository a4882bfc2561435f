#!/usr/bin/env bash
# Runs the benchmarks side by side and prints their tables; tests/bench/README.md says how to read them.
# `bench.sh` runs front, batch, idle, query and apply, `bench.sh PART...` those named: also kafka and postgres, which start a real broker and
# a PostgreSQL 15 of their own. Installs nginx-light, wrk and Go when they are missing, and builds what is not built. Can be run again.
set -euo pipefail

cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*"; }
die() {
  printf 'bench.sh: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo > /dev/null; then
    sudo "$@"
  else
    die "installing packages needs root or sudo: $*"
  fi
}

# nginx lives in sbin, which is not on every user's path; a Go that the user installed is taken as it is.
PATH="$PATH:/usr/sbin:/usr/local/go/bin"
missing=()
command -v wrk > /dev/null || missing+=(wrk)
command -v nginx > /dev/null || missing+=(nginx-light)
command -v go > /dev/null || missing+=(golang-go)
command -v python3 > /dev/null || missing+=(python3)
if [ "${#missing[@]}" -gt 0 ]; then
  say "installing ${missing[*]}"
  as_root apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
  # Debian starts what it installs; the benchmark runs an nginx of its own and wants no other beside it.
  case " ${missing[*]} " in
    *" nginx-light "*) if [ -d /run/systemd/system ]; then as_root systemctl disable --now nginx; fi ;;
  esac
fi

if [ -z "${ADTRACKD:-}" ]; then
  cmake --preset release > /dev/null
  cmake --build --preset release --target adtrackd
fi
export ADTRACKD="${ADTRACKD:-$PWD/build/release/adtrackd}"
[ -x "$ADTRACKD" ] || die "no adtrackd at $ADTRACKD"

mkdir -p build
go_peer() { # NAME FOLDER: what it needs beside the standard library comes from the Go module proxy
  (cd tests/bench/go_peer && GOTOOLCHAIN=local go build -o "../../../build/$1" "./$2")
}
bench_binary() { # NAME
  cmake --preset bench > /dev/null
  cmake --build --preset bench --target "$1"
}

directory="${BENCH_DIR:-$PWD/build/bench-data}"
mkdir -p "$directory"
work="$(mktemp -d "$directory/run.XXXXXX")"
trap 'rm -rf "$work"' EXIT

say "== benchmarks, $(date -u +%Y-%m-%dT%H:%M:%SZ), $(nproc) CPUs, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"

part_front() {
  go_peer go_peer file
  python3 tests/bench/front.py --go-peer "$PWD/build/go_peer" --dir "$work" --rounds "${BENCH_ROUNDS:-5}" --seconds "${BENCH_SECONDS:-4}" \
    --connections "${BENCH_CONNECTIONS:-64}"
}
part_batch() {
  python3 tests/bench/batch.py --dir "$work" --rounds "${BENCH_ROUNDS:-3}" --seconds "${BENCH_SECONDS:-5}" --events "${BENCH_BATCH:-500}"
}
part_idle() {
  python3 tests/bench/idle.py --dir "$work" --rounds "${BENCH_ROUNDS:-5}" --seconds "${BENCH_SECONDS:-4}" --idle "${BENCH_IDLE:-10000}"
}
part_query() {
  python3 tests/bench/query.py --dir "$work" --ads "${BENCH_ADS:-100000}" --rate "${BENCH_RATE:-5000}" --queries "${BENCH_QUERIES:-4000}"
}
part_apply() {
  bench_binary bench_apply
  say "shard apply"
  build/bench/tests/bench/bench_apply --dir "$work/apply"
}
part_kafka() {
  scripts/install-deps.sh test
  go_peer go_kafka_peer kafka
  bench_binary bench_kafka
  python3 tests/bench/kafka.py --go-peer "$PWD/build/go_kafka_peer" --load "$PWD/build/bench/tests/bench/bench_kafka" --dir "$work" \
    --rounds "${BENCH_ROUNDS:-3}" --seconds "${BENCH_SECONDS:-5}"
}
# PostgreSQL 15 without the cluster that Debian would make and start with it: told so for as long as the installation takes.
install_postgres() {
  local told=/etc/postgresql-common/createcluster.d/adtrack-bench.conf
  # shellcheck source=scripts/lib.sh
  . scripts/lib.sh
  if [ ! -x /usr/lib/postgresql/15/bin/postgres ]; then
    install_packages postgresql-common
    printf 'create_main_cluster = false\n' | as_root install -D -m 644 /dev/stdin "$told"
    install_packages postgresql-15
    as_root rm "$told"
  fi
  install_packages postgresql-15-hll python3-psycopg2
}
part_postgres() {
  (install_postgres)
  # Debian's own Python, for which its psycopg2 is made.
  /usr/bin/python3 tests/bench/postgres.py --dir "$work" --ads "${BENCH_ADS:-100000}" --events "${BENCH_EVENTS:-2000000}" --rate "${BENCH_RATE:-5000}" \
    --queries "${BENCH_QUERIES:-2000}"
}

parts=("$@")
[ "$#" -gt 0 ] || parts=(front batch idle query apply)
for part in "${parts[@]}"; do
  declare -F "part_$part" > /dev/null || die "unknown part $part: front, batch, idle, query, apply, kafka or postgres"
done
for part in "${parts[@]}"; do
  say
  "part_$part"
done
