"""``cardctl trace`` and ``cardctl clients lock`` on the real daemon, with a card behind a real pcscd."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cli.station import Station, User
from tests.rig.simulator import PIN


@contextmanager
def trace(user: User, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A trace that follows; interrupted at the end, which it takes well."""
    command = user.command("trace", *arguments)
    piped = subprocess.PIPE
    with subprocess.Popen(command, env=user.environment, stdout=piped, stderr=piped, text=True) as process:
        assert process.stderr is not None
        assert "Ctrl-C" in process.stderr.readline()
        yield process
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0, process.stderr.read()


def lines(process: subprocess.Popen[str], until: str) -> list[str]:
    """What it shows, to the first line with this."""
    assert process.stdout is not None
    told: list[str] = []
    while not told or until not in told[-1]:
        told.append(process.stdout.readline())
        assert told[-1], told
    return told


def test_a_login_is_seen_command_by_command(user: User, station: Station) -> None:
    with trace(user) as process:
        user.ok("login")
        told = lines(process, "VERIFY")
    assert told[0].rstrip().endswith(station.pcscd.reader_names[0])
    assert told[-1].rstrip().endswith(" ms")


def test_the_full_trace_shows_bytes_and_no_pin(user: User) -> None:
    document = user.home / "compte-rendu.txt"
    document.write_text("SIMULATION")
    with trace(user, "--full") as process:
        user.ok("login")
        user.ok("sign", document)
        told = lines(process, "    < ")
    assert any("VERIFY" in line and "9000" in line for line in told)
    assert PIN.hex().upper() not in "".join(told)


def test_for_programs_each_exchange_is_a_line_of_json(user: User) -> None:
    with trace(user, "--json") as process:
        user.ok("login")
        told = [json.loads(line) for line in lines(process, "9000")]
    assert (told[-1]["instruction"], told[-1]["received"]) == ("VERIFY", 0)


def test_a_program_is_locked_and_unlocked(user: User) -> None:
    user.ok("login")
    [program] = [one for one in user.run("clients", "--json").rows("clients") if one["name"] == "cardctl"][-1:]
    assert user.ok("clients", "lock", str(program["id"])) == "Locked.\n"
    refused = user.run("login")
    assert refused.status == 4
    assert "cardctl clients unlock" in refused.err
    assert "verrouillé" in user.ok("clients", "--lang", "fr")
    assert user.ok("clients", "unlock", str(program["id"])) == "Unlocked.\n"
    user.ok("login")
