#!/usr/bin/env bash
# Makes signed click links, and the keys for them.
#   make-link.sh key ID                      a line for `redirect.key_file`, with a new random secret
#   make-link.sh link [OPTION...] AD_ID      a link to an ad
#     --keys FILE      the key file (needed); its last key signs
#     --key ID         another key of that file
#     --event-id ID    1 to 128 characters from 0x21 to 0x7E; a random UUID when it is left out
#     --valid SECONDS  how long the link may be followed (86400)
#     --base URL       what the link begins with (http://127.0.0.1:8080)
# The signature is HMAC-SHA256 over "click", the ad, the event id, the expiry and the key id, a line each.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

usage() { die "usage: make-link.sh key ID | make-link.sh link --keys FILE [--key ID] [--event-id ID] [--valid SECONDS] [--base URL] AD_ID"; }

random_hex() { od -An -v -tx1 -N"$1" /dev/urandom | tr -d ' \n'; }

# bytes_of HEX [MASK]: the bytes, each xor MASK.
bytes_of() {
  local i
  for ((i = 0; i < ${#1}; i += 2)); do
    # shellcheck disable=SC2059 # the format is made of \x escapes
    printf "\\x$(printf '%02x' $((16#${1:i:2} ^ ${2:-0})))"
  done
}

hash_of() { sha256sum | cut -d ' ' -f 1; }

# hmac HEX <text, by RFC 2104 and with the shell's own means: a secret on a command line could be seen by others.
hmac() {
  local key=$1 inner
  while [ "${#key}" -lt 128 ]; do key+=00; done
  inner=$({
    bytes_of "$key" 0x36
    cat
  } | hash_of)
  {
    bytes_of "$key" 0x5c
    bytes_of "$inner"
  } | hash_of
}

percent_encode() {
  local i c
  for ((i = 0; i < ${#1}; ++i)); do
    c=${1:i:1}
    case $c in
    [A-Za-z0-9._~-]) printf '%s' "$c" ;;
    *) printf '%%%02X' "'$c" ;;
    esac
  done
}

make_key() {
  [[ $# == 1 && $1 =~ ^[A-Za-z0-9_-]{1,64}$ ]] || die "a key's id is 1 to 64 letters, digits, - or _"
  printf '%s %s\n' "$1" "$(random_hex 32)"
}

make_link() {
  local keys="" wanted="" event_id="" valid=86400 base=http://127.0.0.1:8080 ad=""
  while [ $# -gt 0 ]; do
    case $1 in
    --keys | --key | --event-id | --valid | --base) [ $# -ge 2 ] || usage ;;&
    --keys) keys=$2 ;;
    --key) wanted=$2 ;;
    --event-id) event_id=$2 ;;
    --valid) valid=$2 ;;
    --base) base=${2%/} ;;
    -*) usage ;;
    *)
      [ -z "$ad" ] || usage
      ad=$1
      set -- "" "$@"
      ;;
    esac
    shift 2
  done
  [[ $ad =~ ^[1-9][0-9]{0,15}$ ]] || die "the ad is named by its id, an integer from 1"
  [[ $valid =~ ^[1-9][0-9]{0,9}$ ]] || die "--valid is a number of seconds"
  [ -r "$keys" ] || die "--keys names no file that can be read"
  if [ -z "$event_id" ]; then event_id=$(cat /proc/sys/kernel/random/uuid); fi
  LC_ALL=C
  [[ ${#event_id} -le 128 && $event_id =~ ^[!-~]+$ ]] || die "an event id is 1 to 128 characters from 0x21 to 0x7E"
  local id secret found_id="" found_secret=""
  while read -r id secret _ || [ -n "${id:-}" ]; do
    if [ -z "$id" ] || [[ $id == '#'* ]]; then continue; fi
    if [ -z "$wanted" ] || [ "$id" = "$wanted" ]; then found_id=$id found_secret=$secret; fi
  done <"$keys"
  [[ $found_secret =~ ^([0-9A-Fa-f]{2}){32,64}$ ]] || die "$keys holds no ${wanted:+such }key"
  local expires signature
  expires=$(($(date +%s) + valid))
  signature=$(printf 'click\n%s\n%s\n%s\n%s' "$ad" "$event_id" "$expires" "$found_id" | hmac "$found_secret")
  printf '%s/api/v1/ads/%s/click?event_id=%s&exp=%s&kid=%s&sig=%s\n' "$base" "$ad" "$(percent_encode "$event_id")" "$expires" "$found_id" "$signature"
}

case ${1:-} in
key)
  shift
  make_key "$@"
  ;;
link)
  shift
  make_link "$@"
  ;;
*) usage ;;
esac
