"""The units for real: systemd as process 1, its sandbox around the service, sockets, reload, watchdog and restart."""

from __future__ import annotations

import configparser
import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.p11.programs import BY_CTYPES, MODULES, needs
from tests.rig.booted import DOCTOR, ENVIRONMENT, PYTHON, UNITS, Machine, booted, needs_boot
from tests.rig.other_user import UID
from tests.rig.waiting import eventually_here

pytestmark = needs_boot()

CONFIGURATION = "[session]\nidle = 600\n[listen]\nhttps = 17464\n"
# without its key the service does not start
SECRET = {
    "etc/cardd/cardd.toml.d/agents.toml": (
        '[prompt]\nagents = "any"\n[web]\nallowed_origins = ["https://page.example"]\n'
    ),
    "etc/cardd/cardd.toml.d/sealed.toml": "[audit]\nsealed = true\n",
    "etc/systemd/system/cardd.socket.d/https.conf": (UNITS / "https.conf").read_text(),
    "etc/cardd/audit-key": "a key of the tests, SIMULATION\n",
    "etc/systemd/system/cardd.service.d/secret.conf": (
        "[Service]\nLoadCredential=cardd.audit-key:/etc/cardd/audit-key\n"
    ),
}
AUTOSTART = configparser.ConfigParser()
AUTOSTART.read(UNITS / "cardd-agent.desktop")
STATUS = ("curl", "--silent", "--show-error", "--fail", "--max-time", "20")
TCP, TCP6 = "http://127.0.0.1:17463/v1/status", "http://[::1]:17463/v1/status"
ADDRESS = "P11_KIT_SERVER_ADDRESS=unix:path=/run/cardd/p11"
AS_HERE = ("env", "LD_LIBRARY_PATH=/opt/python/lib")
LISTENED = [
    line.partition("=")[2]
    for unit in ("cardd.socket", "https.conf")
    for line in (UNITS / unit).read_text().splitlines()
    if line.startswith("ListenStream=")
]
CONNECT = """
import socket, sys
host, _, port = sys.argv[1].rpartition(":")
if port.isdigit():
    socket.create_connection((host.strip("[]"), int(port)), 20)
else:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
"""
UNIX = ("--unix-socket", "/run/cardd/cardd.sock", "http://cardd/v1/status")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with booted(tmp_path_factory.mktemp("booted"), CONFIGURATION, SECRET) as machine:
        yield machine


def configure(machine: Machine, text: str) -> None:
    machine.run("sh", "-c", f"printf '{text}' > /etc/cardd/cardd.toml".replace("\n", "\\n"))


def main_pid(machine: Machine) -> str:
    return machine.show("cardd.service", "MainPID")


def wait_for_another(machine: Machine, before: str) -> None:
    eventually_here(lambda: main_pid(machine) not in (before, "0"))


def test_the_first_request_starts_the_service_which_answers_every_user_on_every_socket(machine: Machine) -> None:
    machine.run("systemctl", "stop", "cardd.service")  # which another test may have started
    assert machine.show("cardd.socket", "ActiveState") == "active"
    assert machine.show("cardd.service", "ActiveState") == "inactive"
    for where in ((TCP,), (TCP6,), UNIX):
        for uid in (0, UID):
            assert json.loads(machine.run(*STATUS, *where, uid=uid))["name"] == "cardd"
    assert machine.show("cardd.service", "SubState") == "running"
    owner, families = (machine.run("stat", "--format=%U", f"/proc/{main_pid(machine)}"), "RestrictAddressFamilies")
    assert owner.strip() == "cardd"
    assert machine.show("cardd.service", families).split() == ["AF_NETLINK", "AF_UNIX"]


@pytest.mark.parametrize("address", ["/run/cardd/agent.sock", "[::1]:17464"])  # others' tests begin at the others
def test_each_socket_of_the_units_starts_the_service(machine: Machine, address: str) -> None:
    machine.run("systemctl", "stop", "cardd.service")
    held = machine.show("cardd.socket", "Listen")
    assert [each for each in LISTENED if f"{each} (Stream)" not in held] == []
    machine.run(*AS_HERE, PYTHON, "-c", CONNECT, address, uid=UID)
    eventually_here(lambda: machine.show("cardd.service", "SubState") == "running")
    assert machine.show("cardd.socket", "Result") == "success"


def test_a_removal_that_was_forced_leaves_no_socket_of_a_service_that_is_gone(machine: Machine) -> None:
    machine.run(*STATUS, TCP)
    gone = "mkdir -p /tmp/gone && mv /usr/lib/systemd/system/cardd.* /tmp/gone && systemctl daemon-reload"
    machine.run("sh", "-c", gone)  # as dpkg --force-remove-reinstreq does, without prerm
    machine.run("sh", "/opt/project/debian/cardd.postrm", "remove")
    assert "Couldn't connect" in machine.run(*STATUS, TCP, check=False)
    assert [machine.show(f"cardd.{kind}", "ActiveState") for kind in ("socket", "service")] == ["inactive"] * 2
    machine.run("test", "!", "-e", "/run/cardd")
    machine.run("sh", "-c", "mv /tmp/gone/* /usr/lib/systemd/system && systemctl daemon-reload")
    machine.run("systemctl", "start", "cardd.socket")
    assert json.loads(machine.run(*STATUS, TCP))["name"] == "cardd"


def test_a_reload_takes_what_may_change_tells_what_may_not_and_refuses_what_is_wrong(machine: Machine) -> None:
    machine.run(*STATUS, TCP)
    before = main_pid(machine)
    configure(machine, f"{CONFIGURATION}max_body = 2048\n".replace("600", "700"))
    machine.run("systemctl", "reload", "cardd.service")
    eventually_here(lambda: "listen.max_body" in machine.show("cardd.service", "StatusText"))
    warned = ("journalctl", "--unit=cardd.service", "--output=cat", "PRIORITY=4", "CARDD_LOGGER=cardd.daemon")
    eventually_here(lambda: "want a restart: listen.max_body" in machine.run(*warned))
    configure(machine, "[session]\nidel = 700\n")
    assert "idel" in machine.run("sh", "-c", "systemctl reload cardd.service; journalctl -u cardd.service -o cat -n 20")
    assert machine.show("cardd.service", "ActiveState") == "active"
    configure(machine, CONFIGURATION)
    machine.run("systemctl", "reload", "cardd.service")
    eventually_here(lambda: "holds" in machine.show("cardd.service", "StatusText"))
    assert main_pid(machine) == before


def test_a_service_that_is_killed_again_and_again_is_started_again_and_keeps_its_sockets(machine: Machine) -> None:
    quickly(machine, "RestartSec=10ms\\nRestartSteps=0")
    machine.run("systemctl", "start", "cardd.service")
    for _ in range(7):  # systemd gives a service up after five, by itself
        before = main_pid(machine)
        machine.run("kill", "-KILL", before, check=False)
        wait_for_another(machine, before)
    assert json.loads(machine.run(*STATUS, *UNIX))["name"] == "cardd"
    assert machine.show("cardd.socket", "ActiveState") == "active"


def test_a_service_that_is_stuck_is_ended_by_the_watchdog_and_started_again(machine: Machine) -> None:
    quickly(machine, "RestartSec=10ms\\nWatchdogSec=1")
    machine.run("systemctl", "restart", "cardd.service")
    before = main_pid(machine)
    time.sleep(1.2)
    assert main_pid(machine) == before
    machine.run("kill", "-STOP", before)
    wait_for_another(machine, before)
    assert json.loads(machine.run(*STATUS, TCP))["name"] == "cardd"


def test_an_upgrade_leaves_the_port_to_nobody_and_starts_no_half_package(machine: Machine) -> None:
    machine.run(*STATUS, TCP)
    before = main_pid(machine)
    script = "/opt/project/debian/cardd."
    machine.run("sh", f"{script}preinst", "upgrade", "0.2.0", "0.2.0")  # dpkg changes the files now
    take = ("env", "LD_LIBRARY_PATH=/opt/python/lib", PYTHON, "-c")
    port = "import socket; socket.create_server(('127.0.0.1', 17463))"
    assert "Address already in use" in machine.run(*take, port, check=False)
    assert "timed out" in machine.run("curl", "--silent", "--show-error", "--max-time", "1", TCP, check=False)
    assert (machine.show("cardd.service", "SubState"), main_pid(machine)) == ("start-pre", "0")
    machine.run("sh", f"{script}postinst", "configure", "0.2.0")
    assert json.loads(machine.run(*STATUS, TCP))["name"] == "cardd"
    assert main_pid(machine) != before
    assert "upgrade" not in machine.show("cardd.service", "DropInPaths")


def test_an_agent_in_its_sandbox_shows_dialogs_and_another_looks_at_programs_for_it(machine: Machine) -> None:
    def as_doctor(*command: str) -> str:
        return machine.run("env", f"XDG_RUNTIME_DIR=/run/user/{DOCTOR}", *command, uid=DOCTOR)

    machine.run("systemctl", "start", f"user@{DOCTOR}.service")
    as_doctor(*shlex.split(AUTOSTART["Desktop Entry"]["Exec"]))  # where the desktop reaches no graphical-session.target
    agent = as_doctor("systemctl", "--user", "show", "--value", "-p", "MainPID", "cardd-agent.service").strip()
    body = json.dumps({"name": "LPS", "vendor": "SIMULATION", "software_id": "booted"})
    pair = ("curl", "--silent", "--max-time", "20", "--header", "Content-Type: application/json", "--data", body)
    where = "http://127.0.0.1:17463/v1/clients"
    answers: list[dict[str, object]] = []

    def is_paired() -> bool:
        answers.append(json.loads(as_doctor(*pair, where)))
        return answers[-1].get("code") != "prompt.unavailable"  # the agent has come

    eventually_here(is_paired)
    assert "client_secret" in answers[-1], answers
    assert "LPS" in machine.run("cat", f"/run/user/{DOCTOR}/shown")
    status = machine.run("cat", f"/proc/{agent}/status")
    assert "CapBnd:\t0000000000000000" in status
    assert "Seccomp:\t2" in status
    # a page's connection is looked at by the other one, from outside of that sandbox
    page = ("--header", "Origin: https://page.example", "--header", "Sec-Fetch-Mode: cors", "--header")
    told = as_doctor(*pair, *page, "Sec-Fetch-Site: cross-site", f"{where}/challenges")
    assert json.loads(told)["code"] == "page.not_a_browser"


def test_the_readers_go_with_the_seat_of_the_real_logind_and_not_to_who_comes_by_ssh(machine: Machine) -> None:
    def may_see(uid: int) -> bool:
        code = ("--output", "/dev/null", "--write-out", "%{http_code}")
        where = (*UNIX[:2], "http://cardd/v1/readers")
        return machine.run("curl", "--silent", "--max-time", "20", *code, *where, uid=uid).strip() == "200"

    log_in(machine, DOCTOR, display=":0")
    log_in(machine, UID)
    eventually_here(lambda: may_see(DOCTOR))
    assert not may_see(UID)
    log_in(machine, UID, display=":1")  # which is the one on the screen then
    eventually_here(lambda: may_see(UID) and not may_see(DOCTOR))


def log_in(machine: Machine, uid: int, *, display: str = "") -> None:
    """Open a session as PAM would: a desktop on the seat, or one by ssh (org.freedesktop.login1(5), CreateSession)."""
    kind, seat, remote = ("x11", "seat0", "false") if display else ("tty", "", "true")
    unit = f"leader-{uid}-{kind}{display}.service"
    machine.run("systemd-run", f"--unit={unit}", "sleep", "1000")
    leader = machine.show(unit, "MainPID")
    manager = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
    what = (str(uid), leader, "tests", kind, "user", "", seat, "0", "", display, remote, "", "", "0")
    machine.run("busctl", "call", *manager, "CreateSession", "uusssssussbssa(sv)", *what)


def quickly(machine: Machine, settings: str) -> None:
    """Have the unit wait less, in this test."""
    place = "/run/systemd/system/cardd.service.d"
    machine.run("sh", "-c", f"mkdir -p {place}; printf '[Service]\\n{settings}\\n' > {place}/quick.conf")
    machine.run("systemctl", "daemon-reload")


# p11-kit's own module in a program that is not protected from SIGPIPE, as most are not
CLIENT = f"""{BY_CTYPES}
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
restart = sys.argv[2:]
def slots():
    count = ctypes.c_ulong()
    return call(4, ctypes.c_ubyte(0), None, ctypes.addressof(count))
found = [call(0, None), slots()]
subprocess.run(restart, check=True)
found.append(slots())
ask = ["systemctl", "show", "cardd.service", "--value", "-p", "NFileDescriptorStore"]
until = time.monotonic() + 10
while (kept := subprocess.check_output(ask, text=True).strip()) != "0" and time.monotonic() < until:
    time.sleep(0.1)  # systemd hears of it by a datagram
print(*found, kept)
"""


def test_a_program_that_uses_pkcs11_goes_on_when_the_service_is_restarted(machine: Machine) -> None:
    needs()
    machine.run("systemctl", "start", "cardd.service")
    restart = ("systemctl", "restart", "cardd.service")
    said = machine.run(
        "env", ADDRESS, "LD_LIBRARY_PATH=/opt/python/lib", PYTHON, "-c", CLIENT, str(MODULES[0]), *restart
    )

    assert said.split() == ["0", "0", "0", "0"]  # three calls that did well, and nothing that systemd still keeps


def test_a_program_that_starts_the_service_by_its_socket_sees_the_card_of_who_sits_here(machine: Machine) -> None:
    needs("pkcs11-tool")
    if not Path("/etc/reader.conf.d/vpcd").exists():
        pytest.skip("no virtual reader here")
    environment = [f"--setenv={each}" for each in ENVIRONMENT.split()]
    simulate = (PYTHON, "-m", "cardd.cli.cardctl", "simulate", "cps3")
    machine.run("systemd-run", "--unit=card.service", *environment, *simulate)
    machine.run("systemctl", "start", "cardd.service")  # by which pcscd and its readers are there
    eventually_here(lambda: "cps3" in machine.run("curl", "--silent", *UNIX[:2], "http://cardd/v1/cards"))
    log_in(machine, DOCTOR, display=":2")
    machine.run("systemctl", "stop", "cardd.service")
    tool = ("pkcs11-tool", "--module", str(MODULES[0]), "--list-slots")

    assert "SIMULATION-MEDECIN" in machine.run("env", ADDRESS, *tool, uid=DOCTOR)
