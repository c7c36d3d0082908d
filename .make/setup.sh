#!/bin/sh
# Install what is missing to work on cardd (`make setup`; most other targets call it first).
#
#   setup.sh            Debian packages, .venv with the locked packages and cardd and its simulators, editable, the
#                       translations, and the node packages of the tests
#   setup.sh debian     the Debian packages only
#   setup.sh fuzz       all that tests want, and the Python packages of `make fuzz`; `mutants` likewise
#   setup.sh sandbox    what runs cardd and its simulators, and nothing that tests them (`make sandbox`)
#   setup.sh peers      the programs that `make bench` compares cardd with (`make bench-peers`)
#
# Nothing missing: says nothing, changes nothing, takes a tenth of a second. As root, or where sudo works, it installs;
# else it prints the one command that is missing and fails. PYTHON names another Python than the first one that serves.
set -eu
cd "$(dirname "$0")/.."

OLDEST=3.11
SYSTEM_PYTHON=${SYSTEM_PYTHON:-/usr/bin/python3}

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# ---------------------------------------------------------------------------------------------------------------------
# Python

# the first Python that serves: the one on PATH, else Debian's own, else one with its version in its name; its real
# path, because a manager's stand-in (pyenv) is slow, and .venv must not be made from itself
find_python() {
    for candidate in ${PYTHON:-python3 "$SYSTEM_PYTHON" python3.13 python3.12 python3.11}; do
        "$candidate" -c "import os, sys
print(os.path.realpath(sys.executable)) if sys.version_info >= (${OLDEST%.*}, ${OLDEST#*.}) else sys.exit(1)" 2>/dev/null && return
    done
    fail "cardd needs Python $OLDEST or newer; ${PYTHON:-python3} is $("${PYTHON:-python3}" --version 2>&1 || true)." \
        "Name another one: make setup PYTHON=/path/to/python3"
}

# what the Debian packages of this Python would bring, told from what it can do: another Python brings it by itself
python_packages() {
    "$python" -c 'import importlib.util, os, sysconfig
if not all(map(importlib.util.find_spec, ("ensurepip", "venv"))): print("python3-venv")
if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")): print("python3-dev")'
}

# ---------------------------------------------------------------------------------------------------------------------
# Debian packages

# Debian's npm refuses to stand beside another maker's node, which brings its own
npm_package() {
    command -v npm >/dev/null || echo npm
}

# two more judges of signatures, where there is a Java to run them
java_packages() {
    ! command -v java >/dev/null || echo libxml-security-java libbcpkix-java
}

# AusweisApp has another name in Debian 12
peer_packages() {
    if apt-cache show ausweisapp >/dev/null 2>&1; then echo ausweisapp; else echo ausweisapp2; fi
    echo scdaemon
}

wanted_packages() {
    [ "$what" != peers ] || { peer_packages; return 0; }
    sed 's/#.*//' .make/debian-runtime
    python_packages
    [ "$what" != sandbox ] || return 0
    sed 's/#.*//' .make/debian-packages
    npm_package
    java_packages
}

missing_packages() {
    wanted=$(wanted_packages)
    # dpkg-query fails for the unknown ones, and that is an answer too
    installed=$(dpkg-query --show --showformat ' ${Package}:${db:Status-Status} ' $wanted 2>/dev/null || true)
    for package in $wanted; do
        case $installed in
            *" $package:installed "*) ;;
            *) printf ' %s' "$package" ;;
        esac
    done
}

can_sudo() {
    command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }
}

install_debian_packages() {
    command -v dpkg-query >/dev/null || {
        say "This is not Debian: install by hand what stands in .make/debian-runtime and .make/debian-packages. Going on with what is here."
        return
    }
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    install="apt-get install --yes --no-install-recommends$missing"
    if [ "$(id -u)" = 0 ]; then
        as_root=env
    elif can_sudo; then
        as_root="sudo env"
    else
        fail "Debian packages are missing. As root:

    $install"
    fi
    say "Installing Debian packages:$missing"
    # without fresh lists a package may be unknown; with a broken third-party list the others still serve
    $as_root apt-get update --quiet --quiet || say "apt-get update failed; going on with the lists that are here."
    # no question is asked, and a service that cannot start here (no systemd) is no failure
    $as_root DEBIAN_FRONTEND=noninteractive $install --quiet --quiet </dev/null
}

# ---------------------------------------------------------------------------------------------------------------------
# The virtual environment. Its two stamps hold what it was made from; a change makes it again.

key_of() {
    { echo "$python"; "$python" --version; cat "$@"; } | sha256sum
}

is_current() {
    [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]
}

pip_install() {
    PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-build-isolation "$@"
}

# install_locked_packages LOCK: where dev.lock is installed, nothing of runtime.lock is missing
install_locked_packages() {
    is_current .venv/packages.stamp "$(key_of .make/build.lock .make/dev.lock)" && return
    key=$(key_of .make/build.lock "$1")
    is_current .venv/packages.stamp "$key" && return
    say "Installing $(grep -c == "$1") Python packages into .venv, each checked against its hash"
    "$python" -m venv --clear .venv
    # what comes as source (pyscard) is built with the locked tools, so they come first
    pip_install --require-hashes --requirement .make/build.lock
    pip_install --require-hashes --requirement "$1"
    say "$key" > .venv/packages.stamp
}

# what one target needs besides the tests; it goes when .venv is made again
install_for_target() {
    key=$(key_of .make/dev.lock ".make/$1.lock")
    is_current ".venv/$1.stamp" "$key" && return
    say "Installing what \`make $1\` needs into .venv"
    pip_install --require-hashes --requirement ".make/$1.lock"
    say "$key" > ".venv/$1.stamp"
}

install_cardd() {
    key=$(key_of pyproject.toml drivers/cardd_simulators/pyproject.toml cardd/__init__.py)
    is_current .venv/cardd.stamp "$key" && return
    say "Installing cardd and its simulators into .venv, editable"
    pip_install --no-index --no-deps --editable . --editable drivers/cardd_simulators
    say "$key" > .venv/cardd.stamp
}

# ---------------------------------------------------------------------------------------------------------------------
# The node packages: the provider that judges the e-CPS login and the judges of signatures, for tests; what builds the
# client for TypeScript, and judges /openapi.json

install_node_packages() {
    rig=$1
    key=$(cat "$rig/package.json" "$rig/package-lock.json" "$rig/.npmrc" | sha256sum)
    is_current "$rig/node_modules/cardd.stamp" "$key" && return
    command -v npm >/dev/null || { say "There is no npm here: the tests that need $rig are left out."; return; }
    say "Installing $(grep -c integrity "$rig/package-lock.json") node packages into $rig, each checked against its hash"
    (cd "$rig" && npm ci --no-progress >/dev/null)
    say "$key" > "$rig/node_modules/cardd.stamp"
}

# ---------------------------------------------------------------------------------------------------------------------
# Prometheus' own judge of metrics and rules, alone: its package would start a server

install_promtool() {
    if [ -x build/tools/promtool ] || command -v promtool >/dev/null || ! command -v apt-get >/dev/null; then
        return
    fi
    stage=$(mktemp -d)
    if (cd "$stage" && apt-get download --quiet --quiet prometheus >/dev/null 2>&1 && dpkg-deb -x prometheus_*.deb .); then
        mkdir -p build/tools
        mv "$stage/usr/bin/promtool" build/tools/promtool
    else
        say "There is no promtool here: the tests that need it are left out."
    fi
    rm -rf "$stage"
}

what=${1:-}
python=$(find_python)
install_debian_packages
case $what in debian | peers) exit ;; esac
install_locked_packages ".make/$([ "$what" = sandbox ] && echo runtime || echo dev).lock"
install_cardd
.venv/bin/python .make/texts.py compile
[ "$what" = sandbox ] && exit
install_node_packages tests/rig/oidc
install_node_packages tests/rig/judges
install_node_packages docs/sdk/typescript
install_promtool
case $what in
    flames | fuzz | mutants) install_for_target "$what" ;;
esac
