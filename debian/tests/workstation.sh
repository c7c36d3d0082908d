# A workstation as the package leaves it, where no systemd runs: pcscd, the service behind its sockets, as its own user,
# and a person, alice, whose agent answers the dialogs. The scripts of this folder read it with `.`.

PERSON=alice
RUN=/run/cardd-tests

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
    left=$(($1 * 10))
    shift
    until "$@" > /dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || { echo "waited in vain: $*" >&2; return 1; }
        sleep 0.1
    done
}

# as USER COMMAND...
as() {
    user=$1
    shift
    setpriv --reuid="$user" --regid="$user" --init-groups env -i PATH=/usr/bin:/bin LANG=C.UTF-8 \
        HOME="$(getent passwd "$user" | cut -d: -f6)" XDG_RUNTIME_DIR="$RUN/$user" "$@"
}

# keep NAME COMMAND...: in the background, until let NAME; what it says is in $RUN/NAME.log
keep() {
    name=$1
    shift
    "$@" > "$RUN/$name.log" 2>&1 &
    echo $! > "$RUN/$name.pid"
}

let() {
    kill "$(cat "$RUN/$1.pid")" 2> /dev/null || true
    wait "$(cat "$RUN/$1.pid")" 2> /dev/null || true
    rm -f "$RUN/$1.pid"
}

# a pinentry that says yes once a person can have read the dialog, and types the simulated card's PIN
make_pinentry() {
    cat > /usr/local/bin/pinentry-tests << 'END'
#!/bin/sh
echo "OK Pleased to meet you"
while read -r command rest; do
    case $command in
        GETPIN) sleep 1; echo "D 1234"; echo OK ;;
        CONFIRM) sleep 1; echo OK ;;
        BYE) echo OK; exit ;;
        *) echo OK ;;
    esac
done
END
    chmod 755 /usr/local/bin/pinentry-tests
}

make_person() {
    getent passwd "$PERSON" > /dev/null || useradd --create-home "$PERSON"
    mkdir -p "$RUN/$PERSON"
    chown "$PERSON:" "$RUN/$PERSON"
    chmod 700 "$RUN/$PERSON"
}

start_pcscd() {
    # newer ones ask polkit, which needs a system bus
    no_polkit=$(pcscd --help 2>&1 | grep -o -e --disable-polkit || true)
    mkdir -p /run/pcscd
    keep pcscd pcscd --foreground $no_polkit
    wait_for 10 test -S /run/pcscd/pcscd.comm
}

# listen COMMAND...: run it at the first connection to the sockets of cardd.socket, as systemd does
listen() {
    set -- setpriv --reuid=cardd --regid=cardd --clear-groups env HOME=/var/lib/cardd "$@"
    unit=$(ls /usr/lib/systemd/system/cardd.socket /lib/systemd/system/cardd.socket 2> /dev/null | head -n 1)
    for address in $(sed -n 's/^ListenStream=//p' "$unit" | tac); do
        set -- --listen "$address" "$@"
    done
    systemd-socket-activate --fdname cardd:cardd:cardd:cardd:cardd "$@"
}

start_service() {
    install -d -o cardd -g cardd -m 755 /run/cardd
    install -d -o cardd -g cardd -m 700 /var/lib/cardd
    keep cardd listen /usr/bin/cardd run
    wait_for 10 test -S /run/cardd/p11
    for socket in /run/cardd/cardd.sock /run/cardd/agent.sock /run/cardd/p11; do
        chown cardd:cardd "$socket"
        chmod 666 "$socket"
    done
}

stop_service() {
    let cardd
    rm -rf /run/cardd
}

start_agent() {
    keep agent as "$PERSON" /usr/bin/cardd-agent --pinentry /usr/local/bin/pinentry-tests
}

start_workstation() {
    mkdir -p "$RUN"
    chmod 755 "$RUN"
    make_pinentry
    make_person
    # without logind nobody sits at the machine
    mkdir -p /etc/cardd/cardd.toml.d
    printf '[access]\nowners = ["%s"]\n' "$PERSON" > /etc/cardd/cardd.toml.d/tests.toml
    start_pcscd
    start_service
    as "$PERSON" cardctl status
    start_agent
    keep card as "$PERSON" cardctl simulate cps3 --profile medecin
    wait_for 30 grep -q inserted "$RUN/card.log"
    sleep 1 # until pcscd has told the service
}

stop_workstation() {
    let card
    let agent
    stop_service
    let pcscd
    rm -rf "$RUN" /usr/local/bin/pinentry-tests /etc/cardd/cardd.toml.d/tests.toml
}
