#!/usr/bin/env bash
# Makes a key: `make-key.sh NAME >>ingest.keys` appends its line to a key file and says the new bearer token once, on standard
# error. The token is stored nowhere; the line holds only its SHA-256. `make-key.sh NAME -` makes the line of a token that exists,
# read from standard input; it must be long and random, as a short one can be found from its hash.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

name=${1:-}
[[ $name =~ ^[A-Za-z0-9._-]{1,64}$ ]] || die "usage: make-key.sh NAME [-], where NAME is 1 to 64 letters, digits or -._"
case ${2:-} in
'')
  token=$(make_token)
  printf 'token of %s, not shown again: %s\n' "$name" "$token" >&2
  ;;
-)
  IFS= read -r token || [ -n "$token" ] || die "there is no token on standard input"
  [[ $token =~ ^[A-Za-z0-9._~+/=-]{32,1024}$ ]] || die "a token is 32 to 1024 letters, digits or -._~+/=, all of them random"
  ;;
*) die "unknown argument $2: make-key.sh NAME [-]" ;;
esac
key_line "$name" "$token"
