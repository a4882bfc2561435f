#!/usr/bin/env bash
# Installs adtrack on a host with Debian 12 and systemd, by its package, and starts it: install.sh [OPTION...] [PACKAGE.deb]
#   PACKAGE.deb   without one, it is built from this tree, for which the packages of a build are installed
#   --dry-run     says what would be done, and changes nothing
#   --yes         does not ask before it begins
# Besides what the package brings, an admin key is made, shown once, if there is none; and the package is kept in /var/cache/adtrack for
# upgrade.sh to go back to. Run again, it does what is missing. Another version than the installed one is for upgrade.sh.
# Exit code 0: adtrackd is ready; 1: it is not, or was not installed, as a sentence says.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

package=
dry_run=
yes=
keys=/etc/adtrack/admin.keys
kept=/var/cache/adtrack
ready_secs_max=120

usage() { sed -n '2,/^set -e/{/^set -e/d;s/^# \{0,1\}//;p}' "$0"; }

while [ "$#" -gt 0 ]; do
  case $1 in
  --help | -h)
    usage
    exit 0
    ;;
  --dry-run) dry_run=1 ;;
  --yes) yes=1 ;;
  -*) die "unknown option $1: --help says what there is" ;;
  *)
    [ -z "$package" ] || die "one package at a time"
    package=$1
    ;;
  esac
  shift
done

# Whether somebody holds a token to that file; the package brings a line that nobody does.
has_key() { grep -qsv -e '^nobody ' -e '^[[:space:]]*\(#\|$\)' "$keys"; }

build_package() {
  install_packages "${packages_build[@]}" "${packages_package[@]}"
  say "building the package"
  cmake --preset release -S "$root" -B "$root/build/package" -DADTRACK_TESTS=OFF || die "cmake could not configure the build"
  cmake --build "$root/build/package" -j "$(nproc)" || die "the build failed"
  (cd "$root/build/package" && rm -f ./*.deb && cpack) || die "the package could not be made"
  package=$(echo "$root"/build/package/adtrack_*.deb)
}

make_admin_key() {
  local token
  token=$(make_token)
  install -o root -g adtrack -m 0640 /dev/null "$keys.new"
  key_line admin "$token" >"$keys.new"
  mv "$keys.new" "$keys"
  say "the token of the admin key, in force within a second and not shown again: $token"
}

wait_until_ready() {
  local deadline=$((SECONDS + ready_secs_max))
  # The unit is active once /readyz is 200.
  until [ "$(systemctl is-active adtrackd)" = active ]; do
    [ "$SECONDS" -lt "$deadline" ] || die "adtrackd is not ready after $ready_secs_max s; journalctl -u adtrackd says why"
    sleep 0.2
  done
}

hints() {
  cat <<TXT

adtrackd runs, and listens where /etc/adtrack/adtrackd.toml says: this machine only, at first. Next:

  systemctl status adtrackd; journalctl -u adtrackd
      # how it is, and what it logs
  curl http://127.0.0.1:8080/readyz
  $scripts/make-key.sh NAME >>/etc/adtrack/ingest.keys
      # keys: name the files as ingest.key_file and read.key_file in the settings before http.host lets others in;
      # then systemctl restart adtrackd
  ls /usr/share/adtrack/prometheus /usr/share/adtrack/grafana
      # rules, alerts and dashboards
  $scripts/upgrade.sh NEW.deb
      # another version, and back when it is not as good
  apt-get remove adtrack
      # settings and data stay; apt-get purge adtrack deletes both
TXT
}

[ -z "$package" ] || [ -f "$package" ] || die "there is no $package"
[ -n "$package" ] || [ -e "$root/CMakeLists.txt" ] || die "this is no source tree: name the package"
grep -qs '^VERSION_ID="12"' /etc/os-release || die "this needs Debian 12; elsewhere use the Dockerfile"
[ -d /run/systemd/system ] || die "this needs systemd; elsewhere use the Dockerfile"

if [ -n "$dry_run" ]; then
  [ -n "$package" ] || say "would install what a build needs and build the package in build/package"
  say "would install ${package:-that package} with apt-get and what it depends on: user adtrack, /etc/adtrack, /var/lib/adtrack, adtrackd.service"
  if has_key; then say "would leave the admin keys in $keys as they are"; else say "would make an admin key in $keys and show its token"; fi
  say "would keep the package in $kept, start adtrackd and wait until it is ready"
  exit 0
fi
[ "$(id -u)" = 0 ] || die "this must be run as root"
if [ -z "$yes" ]; then
  [ -t 0 ] || die "there is nobody to ask: --yes goes ahead"
  read -r -p "Install adtrack on this host and start it? [y/N] " answer
  [[ $answer = [yY]* ]] || die "nothing was changed"
fi

[ -n "$package" ] || build_package
[ "$(dpkg-deb -f "$package" Package 2>/dev/null)" = adtrack ] || die "$package is no package of adtrack"
scripts=/usr/share/adtrack/scripts
if [ "$(dpkg-query -W -f '${db:Status-Status}' adtrack 2>/dev/null)" = installed ]; then
  dpkg-deb --fsys-tarfile "$package" | tar -xO ./usr/bin/adtrackd | cmp -s - /usr/bin/adtrackd ||
    die "another adtrack is installed already: $scripts/upgrade.sh $package puts this one in its place"
else
  say "installing $package"
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$(realpath "$package")" ||
    die "the package could not be installed (what it depends on comes from Debian 12; apt-get update may help)"
fi
cp "$package" "$kept/adtrack_$(dpkg-deb -f "$package" Version)_$(dpkg-deb -f "$package" Architecture).deb"
if has_key; then say "there are admin keys in $keys already"; else make_admin_key; fi
systemctl --no-block start adtrackd
wait_until_ready
hints
