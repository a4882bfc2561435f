#!/usr/bin/env bash
# Installs the Debian packages for one purpose: run, build (the default), test, check, or kafka for a broker of one's own. Run again,
# it finds nothing to do.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

case ${1:-build} in
run) install_packages "${packages_run[@]}" ;;
build) install_packages "${packages_build[@]}" ;;
test) install_packages "${packages_test[@]}" ;;
check) install_packages "${packages_check[@]}" ;;
kafka) install_packages "${packages_kafka[@]}" ;;
*) die "unknown purpose $1: run, build, test, check or kafka" ;;
esac
say "the packages to ${1:-build} are installed"
