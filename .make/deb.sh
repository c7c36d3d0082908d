#!/bin/sh
# Build the Debian packages for the release of this machine (`make deb`).
#
#   deb.sh [DIST]     cardd and cardd-simulators into DIST (dist/), as .deb, with the list of what is in them (.cdx.json)
#
# A package holds compiled modules and libraries of one Python, so there is one for each release: X~deb12, X~deb13. Built
# on Debian's own Python, whichever stands first on PATH.
#
# The Python packages come from PyPI, checked against the hashes of runtime.lock and build.lock, and stay in build/deb as
# wheels; debian/rules then asks no network. The time of everything inside is that of the last commit.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "${1:-dist}" build/deb
dist=$(cd "${1:-dist}" && pwd)
root=$PWD
export PATH="/usr/bin:$PATH"

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }
git() { command git -c safe.directory='*' "$@"; }

. /etc/os-release
[ "${ID:-}" = debian ] || fail "make deb builds on Debian, for its own release; this is ${PRETTY_NAME:-something else}."
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' cardd/__init__.py)
full=$version~deb$VERSION_ID
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} # without git it must be given
export SOURCE_DATE_EPOCH

# ---------------------------------------------------------------------------------------------------------------------
# What builds it

install_build_packages() {
    dpkg-checkbuilddeps debian/control 2>/dev/null && return
    command="apt-get build-dep --yes --no-install-recommends ./"
    [ "$(id -u)" = 0 ] || fail "Debian packages are missing. As root:

    $command"
    say "Installing what debian/control builds with"
    apt-get update --quiet --quiet || say "apt-get update failed; going on with the lists that are here."
    DEBIAN_FRONTEND=noninteractive $command --quiet --quiet </dev/null >/dev/null
}

# locked_wheels FOLDER: all packages of runtime.lock as wheels; the tools that build are in FOLDER/tools
locked_wheels() {
    [ ! -f "$1/whole" ] || return 0
    rm -rf "$1"
    python3 -m venv "$1/tools"
    pip="$1/tools/bin/python -m pip --quiet --quiet --disable-pip-version-check --no-input"
    $pip install --require-hashes --requirement .make/build.lock
    # what comes as source is built without the names of folders, and without debugging symbols
    PATH="$1/tools/bin:$PATH" CFLAGS=-g0 LDFLAGS=-s $pip wheel --no-deps --no-build-isolation --require-hashes \
        --requirement .make/runtime.lock --wheel-dir "$1/wheels"
    touch "$1/whole"
}

# ---------------------------------------------------------------------------------------------------------------------
# The sources as git knows them, in a folder of their own

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
source=$stage/cardd-$version

sources() {
    if [ -e .git ]; then
        git ls-files -z --cached --others --exclude-standard
    else
        find . \( -path ./build -o -path ./dist \) -prune -o \( -type f -o -type l \) -print0
    fi
}

stage_sources() {
    mkdir "$source"
    sources | tar -c --null --ignore-failed-read -T - 2>/dev/null | tar -x -C "$source"
    maintainer=$(sed -n 's/^Maintainer: //p' debian/control)
    {
        printf 'cardd (%s) %s; urgency=medium\n\n' "$full" "$VERSION_CODENAME"
        printf '  * Built for Debian %s.\n\n' "$VERSION_ID"
        printf ' -- %s  %s\n\n' "$maintainer" "$(LC_ALL=C date --utc --date="@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %T +0000')"
        cat debian/changelog
    } > "$source/debian/changelog"
}

install_build_packages
made=$root/build/deb/$(cat .make/build.lock .make/runtime.lock | sha256sum | cut -c1-12)-deb$VERSION_ID
say "Python packages, each checked against its hash: build/deb/${made##*/}"
locked_wheels "$made"
stage_sources
say "Building cardd $full"
cp -R "$made/wheels" "$source/wheels"
(
    cd "$source"
    BUILDER=$made/tools/bin/python .make/packages.sh wheels wheels >/dev/null
    DEB_BUILD_OPTIONS=nocheck dpkg-buildpackage --build=binary --no-sign > "$stage/log" 2>&1
) || { tail -n 40 "$stage/log" >&2; exit 1; }
cp "$source/debian/cardd.cdx.json" "$dist/cardd_$full.cdx.json"
for file in "$stage"/*.deb "$stage"/*.changes "$stage"/*.buildinfo; do
    cp "$file" "$dist"
    say "$(basename "$file")"
done
