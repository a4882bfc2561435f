#!/usr/bin/env bash
# Sends the events of a file (NDJSON or CSV, gzip too) to adtrack, each once; shows how far it is, and goes on where it was when it is
# started again. `import.sh --help` says all of it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || die "this needs python3: apt-get install python3"
exec python3 "$root/scripts/import_events.py" "$@"
