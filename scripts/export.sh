#!/usr/bin/env bash
# Writes the events of adtrack's log to a file that import.sh takes (NDJSON, packed when it is named .gz). `export.sh --help` says all
# of it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || die "this needs python3: apt-get install python3"
exec python3 "$root/scripts/export_events.py" "$@"
