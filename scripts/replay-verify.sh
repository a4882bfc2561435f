#!/usr/bin/env bash
# Counts the log of a running adtrack once more, from its first record, and compares digests and answers. `replay-verify.sh --help`
# says all of it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || die "this needs python3: apt-get install python3"
exec python3 "$root/scripts/replay_verify.py" "$@"
