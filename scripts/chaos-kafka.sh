#!/usr/bin/env bash
# The long form of what test.sh shows in three rounds: three brokers under load, and in each round the partition leader is killed,
# two brokers stand still for 30 s, and all are restarted; then the same with adtrackd killed at random moments. Prints the ledger:
# lost, counted twice and counted but never sent must be 0, and so must the false 202. About 100 s a round and form.
#   ROUNDS=30            rounds of each form
#   FREEZE_SECONDS=30    how long two brokers stand still
#   ADTRACKD=PATH        the binary; build/release/adtrackd, built when it is missing
# Arguments go to tests/e2e/run.py: --kill-node only|no for one form, --seed N, --keep.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$root"

install_packages "${packages_test[@]}"
if [ -z "${ADTRACKD:-}" ] && [ ! -x build/release/adtrackd ]; then build release adtrackd; fi
exec python3 tests/e2e/run.py --rounds "${ROUNDS:-30}" --freeze-seconds "${FREEZE_SECONDS:-30}" "$@" kafka_faults
