#!/usr/bin/env bash
# Puts another adtrackd in the place of the one that serves, and goes back by itself when the new one is not as good.
#   upgrade.sh [OPTION...] NEW.deb | NEW_BINARY
#     --unit NAME         the systemd unit (adtrackd)
#     --command COMMAND   without systemd: what starts it, the binary and its flags, without quotes; and
#     --pid-file FILE       where its process id stands; it is started with standard error to FILE.log, and ended by
#                           force when it does not end within 90 s
#     --binary PATH       the program that is replaced by NEW_BINARY (/usr/bin/adtrackd)
#     --old OLD.deb       the package to go back to; else the one that install.sh or the last upgrade kept in /var/cache/adtrack
#     --url URL           where the service answers /readyz (http://127.0.0.1:8080)
#     --ready-secs N      how long a start may take until /readyz is 200 (120)
#     --state DIR         where copies and notes are kept meanwhile (/var/cache/adtrack/upgrade, or FILE.upgrade)
# The service stops in order (http.drain_ms, if it is set, before that). While the log is at rest the old and then the new program are
# started on it, at an address that nobody knows: their digests and rows must be equal. Then the new one takes the old one's place and
# must get ready. Clients that repeat what was not answered lose and double nothing. An upgrade that was broken off, by kill -9 too, is
# taken back by the next run, which then begins anew.
# Exit code 0: upgraded; 1: the old one serves again; 2: not even begun; 3: the old one was put back and does not get ready.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

unit=adtrackd
command=
pid_file=
binary=/usr/bin/adtrackd
old_package=
url=http://127.0.0.1:8080
ready_secs=120
state=
new=
stop_secs_max=90

usage() { sed -n '2,/^set -e/{/^set -e/d;s/^# \{0,1\}//;p}' "$0"; }

not_begun() {
  printf 'error: %s; nothing was changed\n' "$*" >&2
  exit 2
}

while [ "$#" -gt 0 ]; do
  case $1 in
  --help | -h)
    usage
    exit 0
    ;;
  --unit | --command | --pid-file | --binary | --old | --url | --ready-secs | --state)
    [ "$#" -gt 1 ] || not_begun "$1 wants a value"
    case $1 in
    --unit) unit=$2 ;;
    --command) command=$2 ;;
    --pid-file) pid_file=$2 ;;
    --binary) binary=$2 ;;
    --old) old_package=$2 ;;
    --url) url=$2 ;;
    --ready-secs) ready_secs=$2 ;;
    --state) state=$2 ;;
    esac
    shift 2
    ;;
  -*) not_begun "unknown option $1: --help says what there is" ;;
  *)
    [ -z "$new" ] || not_begun "one package or binary at a time"
    new=$1
    shift
    ;;
  esac
done

# ---------------------------------------------------------------- the service: a unit, or a process of one's own

drop_in=/run/systemd/system/$unit.service.d/upgrade.conf

running() {
  if [ -z "$command" ]; then
    # A unit that failed and waits to be tried again does not run; one that is about to be started does.
    case $(systemctl show -p Job -p ActiveState -p SubState "$unit" | tr '\n' ' ') in
    *Job=[1-9]*) return 0 ;;
    *auto-restart* | *=failed* | *=inactive*) return 1 ;;
    esac
  else
    [ -s "$pid_file" ] && grep -q '^State:[[:space:]]*[RSDTtI]' "/proc/$(cat "$pid_file")/status" 2>/dev/null
  fi
}

start_service() {
  if [ -z "$command" ]; then systemctl --no-block start "$unit"; else start_process "$command"; fi
}

# The child writes its own id, so that a process is never without one; the lock is not for it to hold.
start_process() {
  rm -f "$pid_file"
  # shellcheck disable=SC2016 # for that shell to expand
  setsid sh -c 'echo $$ >"$1"; eval "exec $2"' sh "$pid_file" "$1" </dev/null >/dev/null 2>>"$pid_file.log" 9>&- &
  until [ -s "$pid_file" ]; do sleep 0.02; done
}

# In order; by force when it does not end.
stop_service() {
  if [ -z "$command" ]; then
    systemctl stop "$unit"
    return 0
  fi
  local pid deadline=$((SECONDS + stop_secs_max))
  running || return 0
  pid=$(cat "$pid_file")
  kill -TERM "$pid" 2>/dev/null || true
  while running; do
    if [ "$SECONDS" -ge "$deadline" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
    sleep 0.05
  done
}

# wait_ready URL: false when the service ended, or was not ready in time.
wait_ready() {
  local deadline=$((SECONDS + ready_secs))
  until curl -fsSk -m 5 -o /dev/null "$1/readyz" 2>/dev/null; do
    running && [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

# ---------------------------------------------------------------- a look at the log at rest

# flags_for_look FLAGS OURS: the service's flags without those that a look sets, as a flag may stand only once, and then these.
flags_for_look() {
  local word skip='' words
  read -ra words <<<"$1"
  for word in "${words[@]}"; do
    if [ -n "$skip" ]; then
      skip=
      continue
    fi
    case " $2 " in
    *" ${word%%=*} "* | *" ${word%%=*}="*) [[ $word = *=* ]] || skip=1 ;;
    *) printf '%s ' "$word" ;;
    esac
  done
  printf '%s' "$2"
}

# look PROGRAM ACTION: starts PROGRAM as the service is started, but with its listener where nobody looks for it, and has
# upgrade_notes.py note or compare what it says.
look() {
  local port code=0
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  local flags="--http.host 127.0.0.1 --http.port 0 --admin.host 127.0.0.1 --admin.port $port --admin.key_file $state/keys"
  flags+=" --read.key_file $state/keys --tls.certificate_file= --tls.key_file= --tls.client_ca_file= --inbox.enabled false"
  if [ -z "$command" ]; then
    local started
    started=$(systemctl show -p ExecStart --value "$unit" | sed -n 's/.*argv\[\]=[^ ]* \{0,1\}\([^;]*\) ;.*/\1/p')
    mkdir -p "$(dirname "$drop_in")"
    printf '[Service]\nExecStart=\nExecStart=%s %s\nRestart=no\n' "$1" "$(flags_for_look "$started" "$flags")" >"$drop_in"
    systemctl daemon-reload
    systemctl --no-block start "$unit"
  else
    start_process "$1 $(flags_for_look "${command#"$binary"}" "$flags")"
  fi
  wait_ready "http://127.0.0.1:$port" || code=1
  [ "$code" != 0 ] || python3 "$root/scripts/upgrade_notes.py" "$2" "$state/notes" --url "http://127.0.0.1:$port" --key-file "$state/token" \
    --patience "$ready_secs" 9>&- || code=1
  end_look
  return "$code"
}

end_look() {
  stop_service
  if [ -z "$command" ]; then
    rm -f "$drop_in"
    rmdir "$(dirname "$drop_in")" 2>/dev/null || true
    systemctl daemon-reload # whether or not it was there: an upgrade that was killed may have come no further
  fi
}

# ---------------------------------------------------------------- the program

# The binary of a package, on standard output.
program_of() { dpkg-deb --fsys-tarfile "$1" | tar -xO ./usr/bin/adtrackd; }

install_package() { ADTRACK_LEAVE_STOPPED=1 DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold -i "$1"; }

# put_in_place KIND: old or new, out of $state.
put_in_place() {
  if [ -e "$state/$1.deb" ]; then
    install_package "$state/$1.deb"
  else
    cp -p "$state/$1" "$binary.upgrade"
    mv -f "$binary.upgrade" "$binary"
  fi
}

in_place() {
  cmp -s "$state/$1" "$binary" || return 1
  [ ! -e "$state/$1.deb" ] || [ "$(dpkg-query -W -f '${db:Status-Status} ${Version}' adtrack)" = "installed $(dpkg-deb -f "$state/$1.deb" Version)" ]
}

# ---------------------------------------------------------------- forth and back

finish() {
  rm -f "$state/begun"
  rm -rf "$state"/{old,new,old.deb,new.deb,notes,keys,token}
}

# The old program serves again, or the script ends with 3.
put_back() {
  end_look
  in_place old || put_in_place old || true
  start_service
  if ! in_place old || ! wait_ready "$url"; then
    printf 'error: the old adtrackd was to serve again and is not ready; what the upgrade kept is in %s\n' "$state" >&2
    exit 3
  fi
  finish
}

roll_back() {
  trap : INT TERM HUP # not ignored: what is started would ignore them too
  trap - EXIT
  say "going back: $*"
  put_back
  say "rolled back: the old adtrackd serves, $(down_secs) s after the stop"
  exit 1
}

down_secs() { echo $((SECONDS - ${stopped_at:-SECONDS})); }

# ---------------------------------------------------------------- before it begins

[ -n "$new" ] || not_begun "usage: upgrade.sh [OPTION...] NEW.deb | NEW_BINARY, see --help"
[ -f "$new" ] || not_begun "there is no $new"
[[ $ready_secs =~ ^[1-9][0-9]{0,4}$ ]] || not_begun "--ready-secs is a number from 1 to 99999"
for tool in curl python3 flock; do command -v "$tool" >/dev/null || not_begun "this needs $tool"; done
if [ -n "$command" ]; then
  [ -n "$pid_file" ] || not_begun "--command needs --pid-file"
  [[ "$command " == "$binary "* ]] || not_begun "--command must begin with the binary, $binary"
  case $new in *.deb) not_begun "a package is for the systemd unit; --command takes a binary" ;; esac
  state=${state:-$pid_file.upgrade}
else
  [ -d /run/systemd/system ] || not_begun "there is no systemd here; see --command"
  [ "$(id -u)" = 0 ] || not_begun "this must be run as root"
  state=${state:-/var/cache/adtrack/upgrade}
fi
mkdir -p "$state" && chmod 0755 "$state"
state=$(cd "$state" && pwd)
exec 9>"$state/lock"
# What an upgrade that was killed had just called may hold it for a moment; dpkg until it is done.
flock -w 6 9 || not_begun "another upgrade is under way"

if [ -e "$state/begun" ]; then
  say "an upgrade was broken off: the old adtrackd is put back first"
  put_back
fi
finish

running || not_begun "adtrackd does not run; start it first"
curl -fsSk -m 5 -o /dev/null "$url/readyz" || not_begun "adtrackd at $url is not ready"

case $new in
*.deb)
  [ "$(dpkg-deb -f "$new" Package 2>/dev/null)" = adtrack ] || not_begun "$new is no package of adtrack"
  binary=/usr/bin/adtrackd
  for candidate in ${old_package:+"$old_package"} /var/cache/adtrack/adtrack_*.deb /var/cache/apt/archives/adtrack_*.deb; do
    if [ -e "$candidate" ] && program_of "$candidate" | cmp -s - "$binary"; then
      cp "$candidate" "$state/old.deb"
      break
    fi
  done
  [ -e "$state/old.deb" ] || not_begun "the package that is installed now was not kept, so that there would be no way back: name it with --old"
  cp "$new" "$state/new.deb"
  program_of "$new" >"$state/new" || not_begun "$new holds no adtrackd"
  ;;
*) cp "$new" "$state/new" ;;
esac
cp -p "$binary" "$state/old" || not_begun "$binary could not be copied"
chmod 0755 "$state/new"
"$state/new" --version 9>&- || not_begun "$new does not run on this machine"
# Only what this script starts knows the token.
(umask 077 && make_token >"$state/token")
key_line upgrade "$(cat "$state/token")" >"$state/keys"
chmod 0644 "$state/keys"

# ---------------------------------------------------------------- forth

: >"$state/begun"
trap 'roll_back "a signal came"' INT TERM HUP
trap 'roll_back "a step failed"' EXIT
say "stopping the old adtrackd"
stopped_at=$SECONDS
stop_service
say "the old one's digests at the end of the log"
look "$state/old" note || roll_back "the old program does not say its digests"
say "the new one on the same log"
look "$state/new" compare || roll_back "the new program did not get ready or counts otherwise"
say "putting the new one in place"
put_in_place new || roll_back "the new one could not be put in place"
start_service
wait_ready "$url" || roll_back "the new one is not ready at $url within $ready_secs s"
trap - INT TERM HUP EXIT
if [ -e "$state/new.deb" ]; then
  rm -f /var/cache/adtrack/*.deb
  cp "$state/new.deb" "/var/cache/adtrack/adtrack_$(dpkg-deb -f "$new" Version)_$(dpkg-deb -f "$new" Architecture).deb"
fi
finish
say "upgraded: the new adtrackd serves, $(down_secs) s after the stop"
