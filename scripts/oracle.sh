#!/usr/bin/env bash
# The long form of the suite `oracle`: random questions over random events, to the server and to the definitions in plain Python, with
# every number compared. Its lines say how many were compared, how many exact ones differ (it fails unless that is 0), and how many
# of the visitors beyond what is counted exactly lie within 3 unique_error. Wants some 4 GB of memory and, for the sizes below, an hour.
#   EVENTS=2000000     random events
#   QUESTIONS=10000    random questions; half as many by group, and a tenth of both after a restart
#   SEED=N             of everything random; another one each time, printed
#   ADTRACKD=PATH      the binary; build/release/adtrackd, built when it is missing
# Arguments go to tests/e2e/run.py: --keep, --match TEXT.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$root"

install_packages "${packages_test[@]}"
if [ -z "${ADTRACKD:-}" ] && [ ! -x build/release/adtrackd ]; then build release adtrackd; fi
exec python3 tests/e2e/run.py --backend embedded --oracle-events "${EVENTS:-2000000}" --questions "${QUESTIONS:-10000}" ${SEED:+--seed "$SEED"} "$@" oracle
