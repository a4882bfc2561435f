# shellcheck shell=bash
# What the scripts share: speaking, failing with a sentence, and the Debian packages that each purpose needs. Sourced, not run.
# shellcheck disable=SC2034 # the lists are for those who source this

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export root

say() { printf '== %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# To configure and build everything, the unit tests included.
packages_build=(cmake ninja-build g++ pkg-config libcaf-dev librocksdb-dev libcpp-httplib-dev libsimdjson-dev zlib1g-dev libxxhash-dev libre2-dev
  libyaml-dev libmaxminddb-dev uap-core prometheus-cpp-dev libspdlog-dev nlohmann-json3-dev libcli11-dev libabsl-dev libboost-test-dev librdkafka-dev libjemalloc-dev libssl-dev
  ca-certificates curl)
# To make the Debian package of what was built.
packages_package=(dpkg-dev file)
# To run what was built.
packages_run=(libcaf-core0.17 librocksdb7.8 libcpp-httplib0.11 libsimdjson14 zlib1g libxxhash0 libprometheus-cpp-core1.0 libspdlog1.10
  libabsl20220623 librdkafka1 libjemalloc2 libssl3 libre2-9 libyaml-0-2
  libmaxminddb0 uap-core tzdata ca-certificates)
# To run a Kafka for development and tests, whose jars Maven gets.
packages_kafka=(openjdk-17-jre-headless maven openssl)
# For the end-to-end and the fuzz tests; the former speak to Kafka with kcat and the run-time librdkafka, put an nginx before adtrackd,
# hold the rules and dashboards against a Prometheus and its promtool, look at the dashboard with Chromium, speak to a stand-in of AWS, and install the package in a
# system of its own, under a systemd of its own.
packages_test=("${packages_build[@]}" "${packages_package[@]}" "${packages_kafka[@]}" kcat rclone librdkafka1 nginx-light prometheus slowhttptest cpulimit chromium chromium-driver
  mmdebstrap systemd-container lintian iproute2 awscli jq shellcheck tzdata wget python3 python3-venv clang libclang-rt-14-dev llvm)
# For an engine of the tests' own that builds and runs containers.
packages_docker=(docker.io docker-compose)
# For the checks beyond the tests.
packages_check=("${packages_test[@]}" clang-format clang-tidy gcovr)

# A bearer token that nobody can guess: 32 random bytes.
make_token() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# key_line NAME TOKEN: the line of a key file. The token goes by a pipe, so that no list of processes shows it.
key_line() { printf '%s sha256:%s\n' "$1" "$(printf '%s' "$2" | sha256sum | cut -d ' ' -f 1)"; }

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    command -v sudo >/dev/null || die "packages are missing; run this as root or install sudo"
    sudo --preserve-env=DEBIAN_FRONTEND "$@"
  fi
}

# install_packages NAME...: installs those that are missing; does not touch the network when none is.
install_packages() {
  command -v dpkg-query >/dev/null || die "this needs Debian 12: its packages are what adtrack is built from; on another system use the Dockerfile"
  local package missing=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get update -q || die "apt-get update failed: is there a network, and are the package sources right?"
  as_root apt-get install -q -y --no-install-recommends "${missing[@]}" || die "these packages could not be installed: ${missing[*]} (adtrack needs Debian 12)"
  # Debian starts what it installs; tests and benchmarks run an nginx, a Prometheus and a Docker of their own and want no others beside them.
  [ -d /run/systemd/system ] || return 0
  local started
  for started in nginx:nginx nginx-light:nginx prometheus:prometheus docker.io:docker.socket docker.io:docker; do
    case " ${missing[*]} " in
    *" ${started%%:*} "*) as_root systemctl disable --now "${started#*:}" ;;
    esac
  done
}

# Where there is a Docker, it stays as it is: Debian's packages would remove another's. Without root there can be no engine of the tests' own.
install_docker() {
  PATH=$PATH:/usr/sbin command -v dockerd >/dev/null || [ "$(id -u)" != 0 ] || install_packages "${packages_docker[@]}"
}

# build PRESET [TARGET...]: configures and builds in build/PRESET; everything when no target is named.
build() {
  local preset=$1
  shift
  say "building build/$preset"
  # Where there is a ccache, one checkout may use what another has compiled.
  export CCACHE_BASEDIR="$root" CCACHE_NOHASHDIR=1
  cmake --preset "$preset" -S "$root" || die "cmake could not configure the preset $preset"
  cmake --build "$root/build/$preset" -j "$(nproc)" ${1:+--target "$@"} || die "the build of the preset $preset failed"
}
