#!/usr/bin/env bash
# Brings a backup back into a new data directory, or checks one. `restore.sh --help` says all of it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || die "this needs python3: apt-get install python3"
exec python3 "$root/scripts/restore_node.py" "$@"
