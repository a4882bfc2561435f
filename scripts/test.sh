#!/usr/bin/env bash
# Builds the release and runs every test: the Boost suites, the end-to-end suites against build/release/adtrackd, and each fuzz
# target for a bounded time. Installs what that needs. Closes with one line, `N passed, N failed, N skipped`; the exit code is 1
# when a case failed or none ran. The sanitizers' suites and the checks of the code's form are in check.sh.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$root"

fuzz_secs=${FUZZ_SECS:-20} # for one target

passed=0
failed=0
skipped=0

# Whatever ends the script early (a package, the build, a signal) is a failure and still closes with the line.
finish() {
  local code=$?
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
build release
say "unit and integration suites"
add_up "suites.py" python3 scripts/suites.py build/release
say "end-to-end suites"
add_up "tests/e2e/run.py" python3 tests/e2e/run.py
fuzz
