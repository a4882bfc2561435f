#!/usr/bin/env bash
# Shows what another set of rules would do to the numbers, before anyone switches. `restate.sh --help` says all of it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || die "this needs python3: apt-get install python3"
exec python3 "$root/scripts/restate_rules.py" "$@"
