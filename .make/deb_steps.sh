#!/bin/sh
# What `make deb-test` does in a clean folder with the packages: one step for each name. A step leaves its findings in
# /debs/kept for those that follow. The workstation and its person are those of debian/tests.
set -eu
cd "$(dirname "$0")/.."
. debian/tests/workstation.sh
kept=/debs/kept
mkdir -p $kept
OLDER=/debs/older FIRST=/debs/first

debs() { echo "$1"/cardd_*.deb "$1"/cardd-simulators_*.deb; }
version_of() { dpkg-deb --field "$1"/cardd_*.deb Version; }
installed_version() { dpkg-query --show --showformat '${db:Status-Status} ${Version}' cardd; }
holder() { as "$PERSON" cardctl --json clients | grep -o '"id": *"[0-9a-f]*"'; }

# refused COMMAND...: that it fails
refused() { if "$@"; then return 1; fi; }

# every file that the system has, with kind, owner, mode and target; what logs, caches and dpkg's own lists tell is left out
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /src -o -path /debs \
        -o -path /var/cache -o -path /var/log -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/tmp \) -prune \
        -o ! -name '*-' -printf '%p %y %u %m %l\n' | sort
    # users and groups, and whatever else a package may have written into
    find /etc /root /home -type f ! -name '*-' -exec sha256sum {} + | sort -k 2
}

try_wheels() { # the wheels, each by itself: cardd and its simulators by pipx, the client by pip
    made=$(echo "$PWD"/build/deb/*-deb*)
    BUILDER=$made/tools/bin/python .make/packages.sh /debs/wheels wheels
    apt-get install --yes --no-install-recommends --quiet --quiet pipx
    export PIPX_HOME=/debs/pipx PIPX_BIN_DIR=/debs/pipx/bin
    ours=/debs/wheels/cardd
    # by their files, as docs/installing.md has it: none of these names comes from an index
    for name in cardd cardd-client; do
        echo "$name @ file://$(echo "/debs/wheels/$(echo $name | tr - _)"-*.whl)"
    done > /debs/constraints
    from="--no-index --find-links=$made/wheels --constraint=/debs/constraints"
    pipx install --pip-args="$from" $ours-*.whl
    for program in cardd cardctl cardd-agent; do
        "/debs/pipx/bin/$program" --help | grep "^usage: $program"
    done
    refused /debs/pipx/bin/cardctl simulate
    pipx inject --pip-args="$from" cardd ${ours}_simulators-*.whl
    /debs/pipx/bin/cardctl simulate | grep "^cps3"
    pipx install --include-deps --suffix=-alone --pip-args="$from" ${ours}_simulators-*.whl
    /debs/pipx/bin/cardctl-alone simulate | grep "^cps3"
    python3 -m venv /debs/client
    /debs/client/bin/pip install --no-index --find-links=$made/wheels ${ours}_client-*.whl
    /debs/client/bin/python -I -c "import cardd.client"
    refused /debs/client/bin/python -I -c "import cardd.daemon"
}

try_prepare() { # what the packages depend on
    apt-get satisfy --yes --no-install-recommends --quiet --quiet "$(dpkg-deb --field $FIRST/cardd_*.deb Depends)"
    apt-get install --yes --no-install-recommends --quiet --quiet openssl systemd vsmartcard-vpcd man-db p11-kit-modules \
        ansible-core python3-apt unattended-upgrades apt-utils
    useradd --create-home "$PERSON"
    files > $kept/before
}

try_install() { # an older version is installed
    apt-get install --yes --no-install-recommends $(debs $OLDER)
    installed_version | grep -F "installed $(version_of $OLDER)"
}

try_use() { # a person pairs, logs in and signs with it
    start_workstation
    as "$PERSON" cardctl login
    as "$PERSON" sh -c 'cd && echo SIMULATION > document && cardctl sign document'
    holder > $kept/clients
    stop_workstation
    cardctl audit export > $kept/audit
}

try_unattended() { # unattended-upgrades would install the new version from the site's repository
    mkdir /debs/site
    cp $FIRST/*.deb /debs/site # the simulators too: where they are installed both go, or neither
    (
        cd /debs/site
        apt-ftparchive packages . > Packages
        apt-ftparchive -o APT::FTPArchive::Release::Origin=Site release . > Release
    )
    echo "deb [trusted=yes] file:/debs/site ./" > /etc/apt/sources.list.d/site.list
    apt-get update -o Dir::Etc::sourcelist=sources.list.d/site.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
    refused sh -c "unattended-upgrade --dry-run --debug 2>&1 | grep 'Packages that will be upgraded:.*cardd'"
    cp docs/examples/fleet/52cardd-unattended /etc/apt/apt.conf.d
    unattended-upgrade --dry-run --debug 2>&1 | grep "Packages that will be upgraded:.*cardd"
    rm -r /etc/apt/sources.list.d/site.list /etc/apt/apt.conf.d/52cardd-unattended /debs/site /var/lib/apt/lists/*site*
}

try_upgrade() { # the new version takes over its pairings and its audit log
    apt-get install --yes --no-install-recommends $(debs $FIRST)
    installed_version | grep -F "installed $(version_of $FIRST)"
    start_workstation
    holder | diff $kept/clients -
    as "$PERSON" cardctl login
    stop_workstation
    cardctl audit verify
    cardctl audit export > $kept/audit-now
    head --lines "$(wc --lines < $kept/audit)" $kept/audit-now | diff $kept/audit -
    [ "$(wc --lines < $kept/audit-now)" -gt "$(wc --lines < $kept/audit)" ]
}

try_downgrade() { # the older one is refused, and nothing is changed
    sha256sum /var/lib/cardd/*.json > $kept/state
    refused apt-get install --yes --allow-downgrades $(debs $OLDER) > $kept/refused 2>&1
    cat $kept/refused
    grep -F "older than $(version_of $FIRST)" $kept/refused
    installed_version | grep -F "installed $(version_of $FIRST)"
    sha256sum --check $kept/state
    [ -z "$(dpkg --audit)" ]
}

try_commands() { # the commands answer, with their man pages
    debian/tests/commands
}

try_demo() { # the steps of make demo, by the installed packages
    debian/tests/demo
}

try_workstation() { # started by its socket, doctor finds no failure, a person signs
    debian/tests/workstation
}

try_fleet() { # the Ansible role of docs/examples sets it up, and a second run changes nothing
    install -D /bin/true /usr/lib/firefox-esr/firefox-esr # a browser, whose policy the role writes
    for run in first second; do
        ANSIBLE_HOME=/tmp/ansible ANSIBLE_REMOTE_TEMP=/tmp/ansible/remote ansible-playbook --connection local --inventory localhost, \
            --extra-vars "cardd_deb=$(echo $FIRST/cardd_*.deb)" docs/examples/fleet/site.yml | tee $kept/$run
    done
    grep -E 'changed=[1-9].* failed=0' $kept/first
    grep -E 'changed=0 .* failed=0' $kept/second
    rm -r /usr/lib/firefox-esr
    cardctl --json config show | grep -F https://portail.example
    cardctl --json browser-policy show | grep -F '"portail.example"'
    cardctl --json pkcs11 status | grep -F registered
    systemctl is-enabled cardd.socket
}

try_remove() { # removed: other programs' files are as they were
    cardctl pkcs11 register
    as "$PERSON" cardctl pkcs11 register
    [ -e /etc/pkcs11/modules/cardd.module ]
    apt-get remove --yes cardd cardd-simulators
    [ ! -e /etc/pkcs11/modules/cardd.module ]
    [ ! -e "/home/$PERSON/.config/pkcs11/modules/cardd.module" ]
    [ ! -e /opt/cardd ]
    [ -e /var/lib/cardd/clients.json ]
}

try_purge() { # purged: no file, no user, no group is left
    apt-get purge --yes cardd cardd-simulators
    rm -rf "/home/$PERSON"/* "/home/$PERSON/.cache" "/home/$PERSON/.local" "/home/$PERSON/.config"
    files > $kept/after
    diff $kept/before $kept/after
    refused getent passwd cardd
    refused getent group cardd
}

"try_$1"
