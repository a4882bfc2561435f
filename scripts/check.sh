#!/usr/bin/env bash
# Everything that a change must pass. `check.sh` runs all steps but the last in this order, `check.sh STEP...` those named:
#   format    clang-format changes nothing, in any C++ file
#   shell     shellcheck finds nothing
#   tidy      clang-tidy finds nothing (.clang-tidy), in any C++ file of the release build
#   asan      the suites under AddressSanitizer and UndefinedBehaviorSanitizer
#   tsan      the suites under ThreadSanitizer
#   coverage  the suites with gcov; prints the lines and branches that they reach
#   test      test.sh
#   container the image as the Dockerfile builds it, adtrackd compiled in a container, and docker-compose.yml; as root
# Each step that fails is named at the end, with exit code 1.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$root"

# C++ files that git knows or would take.
sources() { git ls-files --cached --others --exclude-standard -- '*.cpp' '*.hpp' | sort -u; }

check_format() { sources | xargs clang-format --dry-run -Werror; }

check_shell() { shellcheck -x scripts/*.sh tests/e2e/stand_ins/*.sh .ci/run; }

check_tidy() {
  cmake --preset release -DADTRACK_TESTS=ON >/dev/null
  # run-clang-tidy prints each command; what it finds is what matters.
  run-clang-tidy -quiet -p build/release -j "$(nproc)" "^$root/(model|config|storage|actors|http|tests|adtrackd)" >build/tidy.log 2>&1 || {
    grep -E '(warning|error):' -A 4 build/tidy.log | sort -u | head -n 200
    return 1
  }
}

# Suppressions name frames of the packaged libraries, which are not instrumented, each with its reason.
check_asan() {
  build asan
  ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 \
    LSAN_OPTIONS=suppressions=$root/scripts/lsan.supp:print_suppressions=0 python3 scripts/suites.py build/asan --seconds-max 3600
}

check_tsan() {
  build tsan
  g++ -std=c++20 -O1 -Wall -Wextra -fPIC -shared scripts/tsan_caf.cpp scripts/tsan_c11.cpp -o build/tsan/libtsan_preload.so
  # The longest history: a suppression can only match a stack that is still known.
  TSAN_OPTIONS=suppressions=$root/scripts/tsan.supp:history_size=7:second_deadlock_stack=1 \
    LD_PRELOAD=$root/build/tsan/libtsan_preload.so python3 scripts/suites.py build/tsan --seconds-max 3600
}

check_coverage() {
  build coverage
  find build/coverage -name '*.gcda' -delete
  python3 scripts/suites.py build/coverage --seconds-max 3600
  gcovr --root . --object-directory build/coverage --exclude 'tests/' --exclude-unreachable-branches --exclude-throw-branches \
    --print-summary --output build/coverage/report.txt
  say "by file: build/coverage/report.txt"
}

check_test() { scripts/test.sh; }

# The suite wants a binary, though the image gets one of its own.
check_container() {
  install_docker
  build release adtrackd
  python3 tests/e2e/run.py --backend embedded --whole-image containers
}

steps=("$@")
[ "$#" -gt 0 ] || steps=(format shell tidy asan tsan coverage test)
for step in "${steps[@]}"; do
  declare -F "check_$step" >/dev/null || die "unknown step $step: format, shell, tidy, asan, tsan, coverage, test or container"
done
install_packages "${packages_check[@]}"
bad=()
for step in "${steps[@]}"; do
  say "check: $step"
  # In a shell of its own: a step's failure must not end the others, and `set -e` is off inside `if`.
  set +e
  (
    set -e
    "check_$step"
  )
  code=$?
  set -e
  [ "$code" = 0 ] || bad+=("$step")
done
[ "${#bad[@]}" = 0 ] || die "these checks failed: ${bad[*]}"
say "all checks passed: ${steps[*]}"
