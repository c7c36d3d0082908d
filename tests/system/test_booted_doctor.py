"""Doctor on a booted system: the service as systemd has it, and what the kernel forbade as journald keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count

import pytest

from cardd.pcsc.lending import SOCKET_NAME
from tests.cli.breakages.machine import AVC, DENIED
from tests.rig.booted import ENVIRONMENT, PYTHON, Machine, booted, needs_boot
from tests.rig.waiting import eventually_here

pytestmark = needs_boot()

DROP_INS = "/run/systemd/system/cardd.service.d"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine whose configuration has a mistake: the service ends as soon as it is started."""
    with booted(tmp_path_factory.mktemp("booted"), "[sesion]\n") as machine:
        yield machine


def doctor(machine: Machine, check: str) -> str:
    """The code of what one of doctor's checks finds there."""
    command = (PYTHON, "-m", "cardd.cli.cardctl", "doctor", check, "--json")
    return str(json.loads(machine.run("env", *ENVIRONMENT.split(), *command, check=False))["checks"][0]["code"])


def test_the_states_of_the_service_are_told_as_systemd_has_them(machine: Machine) -> None:
    assert doctor(machine, "service") == "service.waiting"  # the first request starts it
    machine.run("systemctl", "mask", "cardd.service")
    assert doctor(machine, "service") == "service.masked"
    machine.run("systemctl", "unmask", "cardd.service")
    machine.run("systemctl", "start", "--no-block", "cardd.service")
    eventually_here(lambda: doctor(machine, "service") == "service.restarting")
    machine.run("sh", "-c", f"mkdir {DROP_INS}; printf '[Service]\\nRestart=no\\n' > {DROP_INS}/once.conf")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "--no-block", "cardd.service")
    eventually_here(lambda: doctor(machine, "service") == "service.failed")


def test_what_the_kernel_forbade_is_read_in_the_journal(machine: Machine) -> None:
    """The kernel's log is a pipe here: what comes out of it goes through the real journald and journalctl."""
    # who writes waits for a reader: this is one, until journald is
    machine.run("sh", "-c", "mkfifo /dev/kmsg; exec 3<>/dev/kmsg; systemctl restart systemd-journald.service")
    numbers = count(1)

    def is_told(line: str, code: str) -> bool:
        # each time anew: what systemd itself writes there makes one record with ours, which journald cannot read
        machine.run("sh", "-c", f"echo '5,{next(numbers)},1,-;{line}' > /dev/kmsg")
        return doctor(machine, "denials") == code

    eventually_here(lambda: is_told(DENIED, "denials.apparmor"))
    eventually_here(lambda: is_told(AVC, "denials.selinux"))


def test_a_file_in_the_place_of_pcscds_socket_goes_by_the_remedy_alone(machine: Machine) -> None:
    place = "/run/pcscd/pcscd.comm"
    machine.run(
        "sh",
        "-c",
        f"systemctl stop cardd.socket cardd.service pcscd.socket pcscd.service; rm -f {place}; touch {place}",
    )
    command = (PYTHON, "-m", "cardd.cli.cardctl", "doctor", "pcscd_socket", "--fix", "--yes", "--json")
    told = machine.run(
        "sh", "-c", f"exec 2>/dev/null; env -u {SOCKET_NAME} {ENVIRONMENT} {' '.join(command)}", check=False
    )
    found = json.loads(told)
    assert [fix["code"] for fix in found["fixes"]] == ["pcscd_socket.not_socket"]
    assert found["checks"][0]["code"] == "pcscd_socket.ok"
