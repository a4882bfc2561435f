#!/usr/bin/env bash
# Loads a running adtrack with realistic events on a schedule that waits for no answer, shows how it fares, and says whether each
# acknowledged event is counted once and rightly. `load.sh --help` and `load.sh verify --help` say all of it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || die "this needs python3: apt-get install python3"
exec python3 "$root/scripts/load_main.py" "$@"
