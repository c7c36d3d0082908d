#!/bin/sh
# Write the lock files again from pyproject.toml and build.in, with today's versions (`make lock`).
#
#   build.lock     what builds cardd and the packages that come as source
#   runtime.lock   what an installed cardd needs
#   dev.lock       all of the above and the tools of this repository: what `make setup` installs
#   flames.lock, fuzz.lock, mutants.lock   what these targets need besides, and nothing else does
#
# Every file of every version is hashed, so one lock serves all machines; no index is named, so a mirror serves too.
# The oldest supported Python resolves, because older Pythons need more packages, never fewer. It is Debian 12's own 3.11.2:
# some versions of packages want a later 3.11.
set -eu
cd "$(dirname "$0")/.."
PIP_TOOLS=7.6.2

python=/usr/bin/python3.11
[ -x "$python" ] || { echo "make lock needs Debian 12's own python3.11, the oldest Python that cardd supports." >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "pip-tools==$PIP_TOOLS"

# only PyPI's own hashes: neither a mirror nor a folder of wheels of this machine
unset PIP_FIND_LINKS PIP_INDEX_URL PIP_EXTRA_INDEX_URL
export PIP_CONFIG_FILE=/dev/null

# wanted TABLE KEY: the requirements under that key of pyproject.toml, one a line, but for our own packages
wanted() {
    "$python" -c 'import sys, tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))[sys.argv[1]][sys.argv[2]], sep="\n")' "$@" | grep -v "^cardd-"
}

# lock NAME: compile $work/NAME.in into .make/NAME.lock
lock() {
    "$work/venv/bin/pip-compile" --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-annotate --no-header \
        --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file "$work/$1.lock" "$work/$1.in"
    { echo "# Written by \`make lock\`; do not edit."; cat "$work/$1.lock"; } > ".make/$1.lock"
    echo "wrote .make/$1.lock"
}

{ wanted build-system requires; cat .make/build.in; } > "$work/build.in"
lock build
{ wanted project dependencies; echo "-c $work/build.lock"; } > "$work/runtime.in"
lock runtime
{ wanted project dependencies; wanted dependency-groups dev; cat "$work/build.in"; echo "-c $work/runtime.lock"; echo "-c $work/build.lock"; } > "$work/dev.in"
lock dev
for target in flames fuzz mutants; do
    { wanted dependency-groups $target; echo "-c $work/dev.lock"; } > "$work/$target.in"
    lock $target
done
