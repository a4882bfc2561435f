#!/usr/bin/env bash
# The files of the container image and nothing else: adtrackd, the libraries that it is linked with, certificates, time zones and agents'
# expressions of the machine that this runs on, and each package's copyright file. No shell, no package manager. Run as root (owners), in
# the Dockerfile and in its test; on a folder that is not there yet.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

usage() { echo "image-root.sh BINARY FOLDER: puts what the image holds into FOLDER, which must not be there yet"; }

case ${1:-} in
--help | -h)
  usage
  exit 0
  ;;
esac
[ $# = 2 ] || {
  usage >&2
  exit 2
}
binary=$1
folder=$2
user=10001

[ -x "$binary" ] || die "there is no program $binary: build it first"
[ ! -e "$folder" ] || die "$folder is there already"
[ "$(id -u)" = 0 ] || die "the files' owners need root"

# packages_of FILE...: of which Debian packages they are. Packages may name files below /usr/lib by /lib.
packages_of() {
  local file owners
  owners=$(dpkg-query -S "$@" "${@#/usr}" 2>/dev/null) || true # each file has one name that is not known
  for file in "$@"; do
    grep -qF -e ": $file" -e ": ${file#/usr}" <<<"$owners" || die "$file is of no package"
  done
  cut -d : -f 1 <<<"$owners" | sort -u
}

mkdir -p "$folder"/{etc/adtrack,etc/ssl/certs,usr/local/bin,usr/lib64,usr/share/doc/adtrack,usr/share/uap-core}
ln -s usr/lib "$folder/lib"
ln -s usr/lib64 "$folder/lib64"
install -d -o "$user" -g "$user" -m 0750 "$folder/var/lib/adtrack"

strip -o "$folder/usr/local/bin/adtrackd" "$binary"
chmod 0755 "$folder/usr/local/bin/adtrackd"

libraries=$(ldd "$binary") || die "ldd cannot say what $binary is linked with"
case $libraries in *'not found'*) die "libraries are missing: $libraries" ;; esac
mapfile -t libraries < <(grep -o '/[^ ]*' <<<"$libraries")
sources=()
for library in "${libraries[@]}"; do
  source=$(realpath "$library")
  sources+=("$source")
  install -D -m 0755 "$source" "$folder/usr/${library#/usr/}" # /lib64/ld-linux... is /usr/lib64/ld-linux...
done

cp -a /usr/share/zoneinfo "$folder/usr/share/zoneinfo"
rm -rf "$folder"/usr/share/zoneinfo/{posix,right,localtime}
cp /usr/share/uap-core/regexes.yaml "$folder/usr/share/uap-core/"
cp /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
cp "$root/config/adtrackd.toml" "$folder/etc/adtrack/adtrackd.toml"
printf 'root:x:0:0:root:/:/usr/sbin/nologin\nadtrack:x:%d:%d:adtrack:/var/lib/adtrack:/usr/sbin/nologin\n' "$user" "$user" >"$folder/etc/passwd"
printf 'root:x:0:\nadtrack:x:%d:\n' "$user" >"$folder/etc/group"
echo 'hosts: files dns' >"$folder/etc/nsswitch.conf"
cp "$root/LICENSE" "$folder/usr/share/doc/adtrack/LICENSE"
packages=$(packages_of "${sources[@]}") || exit 1
for package in $packages tzdata uap-core ca-certificates; do
  install -D -m 0644 "/usr/share/doc/$package/copyright" "$folder/usr/share/doc/$package/copyright"
done
say "the image's files are in $folder: $(du -sh "$folder" | cut -f 1)"
