#!/usr/bin/env bash
# Backs up a running adtrack node to a folder or an S3-compatible bucket. `backup.sh --help` says all of it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || die "this needs python3: apt-get install python3"
exec python3 "$root/scripts/backup_node.py" "$@"
