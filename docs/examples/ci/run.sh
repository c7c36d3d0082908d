#!/bin/sh
# Run a command beside cardd with a simulated doctor's card and a simulated DMP, in a directory that is gone afterwards.
#   run.sh COMMAND…      COMMAND finds the daemon by $CARDD, the path of its socket; its exit status is ours
# Wants cardd and cardd-simulators (pip install), and nothing else: no reader, no pcscd, no desktop.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
children=""
trap 'for child in $children; do kill "$child" 2>/dev/null || true; done; wait; rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM # a job that is cancelled: sh alone would leave all that runs

# until FILE has WORDS, for 20 s: what is started has then said so
await() {
    tries=0
    until grep -q "$2" "$1" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { cat "$1" >&2; exit 1; }
        sleep 0.1
    done
}

cardctl --lang en simulate dmp --port "${DMP_PORT:-17490}" >"$work/dmp.log" 2>&1 &
children="$children $!"
await "$work/dmp.log" '^authorities'
{
    printf '[listen]\ntcp = %s\nsocket = "%s"\nagent_socket = "%s"\n' "${CARDD_PORT:-17463}" "$work/cardd.sock" "$work/agent.sock"
    printf '[state]\ndirectory = "%s"\n[prompt]\npinentry = "%s"\n' "$work/state" "$here/agree.sh"
    sed -n '/^\[upstreams.dmp\]/,/^authorities/p' "$work/dmp.log"
} >"$work/cardd.toml"
cardd run --config "$work/cardd.toml" --simulate cps3:medecin >"$work/cardd.log" 2>&1 &
children="$children $!"
await "$work/cardd.log" 'listens on'

# beside this shell, which would hear of no signal before the command's end
exec 3<&0
CARDD="$work/cardd.sock" "$@" <&3 3<&- &
command=$!
children="$command $children"
wait "$command"
