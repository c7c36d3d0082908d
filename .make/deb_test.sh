#!/bin/sh
# Build and try the Debian packages in clean folders (`make deb-test`), as root, with the network for apt and pip.
#
#   deb_test.sh [SUITE...]     bookworm and trixie; each step with its time, all that was said in build/deb/SUITE.log
#
# Each suite: built twice, in another folder, time zone and umask, with the same bytes; lintian; then, in a second clean
# folder, the same under an older version is installed, used, upgraded, refused as a downgrade; the packages are tried by
# debian/tests, removed and purged. What runs there has a network of its own. Nothing is started outside, and nothing
# stays but the logs and dist/.
set -eu
cd "$(dirname "$0")/.."
OLDER=0.1.99
MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
root=$PWD

fail() { printf '%s\n' "$*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "make deb-test makes folders of devices and mounts: run it as root."
for program in mmdebstrap unshare setpriv ip; do
    command -v "$program" >/dev/null || fail "$program is missing: apt-get install mmdebstrap util-linux iproute2"
done
mkdir -p build/deb dist
work=$(mktemp -d /var/tmp/cardd-deb.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' cardd/__init__.py)
epoch=$(git -c safe.directory='*' log -1 --format=%ct)

# step WHAT COMMAND...: say how long it took; fail with the end of the log
step() {
    what=$1
    shift
    begun=$(date +%s)
    if ! "$@" >> "$log" 2>&1; then
        tail -n 40 "$log" >&2
        fail "$suite: FAILED: $what"
    fi
    printf '%-9s %4d s  %s\n' "$suite" "$(($(date +%s) - begun))" "$what"
}

# within FOLDER COMMAND...: in that root, with processes and mounts of its own, and root's clean environment
within() {
    folder=$1
    shift
    unshare --mount --pid --fork --kill-child sh -c '
        folder=$1
        shift
        mount -t proc proc "$folder/proc"
        mount -t tmpfs -o mode=755 tmpfs "$folder/run"
        mount -t tmpfs -o mode=1777 tmpfs "$folder/dev/shm"
        mount -t devpts -o newinstance,ptmxmode=666 devpts "$folder/dev/pts"
        exec chroot "$folder" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
            DEBIAN_FRONTEND=noninteractive SOURCE_DATE_EPOCH="$EPOCH" ${PIP_CERT:+PIP_CERT=$PIP_CERT} "$@"
    ' sh "$folder" "$@"
}

# alone FOLDER COMMAND...: the same, and it reaches nothing but itself
alone() {
    unshare --net sh -c 'ip link set lo up; exec "$@"' sh "$root/.make/deb_test.sh" within "$@"
}

new_root() {
    mkdir "$1"
    tar -x -f "$work/$suite.tar" -C "$1"
    cp /etc/resolv.conf "$1/etc/resolv.conf"
    cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"
    echo "127.0.0.1 localhost" > "$1/etc/hosts"
    mkdir "$1/src" "$1/debs"
    git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
        tar -c --null --ignore-failed-read -T - 2>/dev/null | tar -x -C "$1/src"
    within "$1" apt-get update --quiet --quiet
}

same_bytes() {
    (cd "$1" && sha256sum ./*.deb ./*.json) > "$work/sums"
    (cd "$2" && sha256sum --check --quiet "$work/sums")
    cat "$work/sums"
}

# older FOLDER OTHER: the packages of FOLDER under an older version into OTHER; a build is minutes, and this is seconds
older() {
    mkdir "$2"
    for package in "$1"/*.deb; do
        dpkg-deb --raw-extract "$package" "$work/older"
        sed -i "s/$version~deb/$OLDER~deb/" "$work/older/DEBIAN/control"
        name=$(basename "$package" | sed "s/_$version~deb/_$OLDER~deb/")
        dpkg-deb --root-owner-group -Zgzip -z1 --build "$work/older" "$2/$name"
        rm -rf "$work/older"
    done
}

build() {
    builder=$work/$suite-build
    step "a clean folder to build in" new_root "$builder"
    step "the packages and what builds them" within "$builder" /src/.make/deb.sh /debs/first
    step "a second time: other folder, time zone, umask" within "$builder" sh -c \
        'rm -rf /src/build && mv /src /sources && mkdir /elsewhere && umask 027 && TZ=Asia/Tokyo TMPDIR=/elsewhere /sources/.make/deb.sh /debs/second'
    step "both have the same bytes" same_bytes "$builder/debs/first" "$builder/debs/second"
    step "the same as version $OLDER" older "$builder/debs/first" "$builder/debs/older"
    step "lintian, warnings too" within "$builder" sh -c \
        'apt-get install --yes --no-install-recommends --quiet --quiet lintian && lintian --allow-root --fail-on error,warning /debs/first/*.changes'
    if within "$builder" apt-cache show python3-cyclonedx-lib >/dev/null 2>&1; then
        step "the list of what is inside, by CycloneDX's library" within "$builder" sh -c \
            'apt-get install --yes --no-install-recommends --quiet --quiet python3-cyclonedx-lib python3-jsonschema python3-referencing &&
            python3 -c "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_5).validate_str(sys.stdin.read()))" < "$(echo /debs/first/*.json)"'
    fi
    step "$(sed -n 's/^try_wheels() { # //p' .make/deb_steps.sh)" within "$builder" /sources/.make/deb_steps.sh wheels
    cp "$builder/debs/first"/* dist
}

try() {
    station=$work/$suite-station
    step "a clean folder to install in" new_root "$station"
    cp -R "$work/$suite-build/debs/first" "$work/$suite-build/debs/older" "$station/debs"
    step "what the packages depend on, and the tests' tools" within "$station" /src/.make/deb_steps.sh prepare
    for action in install use unattended upgrade downgrade commands demo workstation fleet remove purge; do
        step "$(sed -n "s/^try_$action() { # //p" .make/deb_steps.sh)" alone "$station" /src/.make/deb_steps.sh "$action"
    done
}

if [ "${1:-}" = within ]; then # alone calls this script again
    shift
    within "$@"
    exit
fi
export EPOCH="$epoch"
for suite in ${@:-bookworm trixie}; do
    log=$root/build/deb/$suite.log
    : > "$log"
    step "Debian $suite, minimal" mmdebstrap --quiet --variant=minbase --include=ca-certificates "$suite" "$work/$suite.tar" "$MIRROR"
    build
    try
    rm -rf "$work/$suite"*
done
echo "cardd $version: everything held"
