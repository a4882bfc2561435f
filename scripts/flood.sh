#!/usr/bin/env bash
# Floods, the long form of the suite `floods`: slowhttptest with 1,000 connections in each of its four modes, then vegeta with five
# times as many events as the server can take, each for two minutes, beside a client that behaves. About 12 minutes.
#   FLOOD_SECONDS=120 FLOOD_CONNECTIONS=1000
#   ADTRACKD=PATH   the binary; build/release/adtrackd, built when it is missing
#   VEGETA=PATH     vegeta; built from the Go module proxy when it is missing
# Arguments go to tests/e2e/run.py, as --match vegeta.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$root"

install_packages "${packages_test[@]}"
if [ -z "${ADTRACKD:-}" ] && [ ! -x build/release/adtrackd ]; then build release adtrackd; fi
PATH="$PATH:/usr/local/go/bin"
if [ -z "${VEGETA:-}" ] && ! command -v vegeta >/dev/null; then
  command -v go >/dev/null || install_packages golang-go
  [ -x build/vegeta ] || GOBIN="$root/build" GOFLAGS=-mod=mod go install github.com/tsenart/vegeta/v12@v12.8.4 || die "vegeta could not be built"
  export VEGETA="$root/build/vegeta"
fi
exec python3 tests/e2e/run.py --flood-seconds "${FLOOD_SECONDS:-120}" --flood-connections "${FLOOD_CONNECTIONS:-1000}" "$@" floods
