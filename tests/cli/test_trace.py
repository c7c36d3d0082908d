"""``cardctl trace`` and ``cardctl clients lock`` on the real daemon, with a card behind a real pcscd."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from cardd_simulators.cards.card import SimulatedCard
from tests.cli.breakages.making import small_disk
from tests.cli.station import Station, User
from tests.rig.lps import UnixConnection
from tests.rig.simulator import PIN, inserted
from tests.simulator.test_replay import EVERY

SUB = "f1c0de00-5ab7-4e57-9a9a-0123456789ab"  # PSC's name for a person, a program's for a request


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
    reader = station.pcscd.reader_names[0]
    assert f"  reader  {reader}  3BAC" in told[0]
    assert any(line.rstrip().endswith(f"  {reader}") for line in told[1:])
    assert " ms" in told[-1]


def test_the_full_trace_shows_bytes_and_no_pin(user: User) -> None:
    document = user.home / "compte-rendu.txt"
    document.write_text("SIMULATION")
    with trace(user, "--full") as process:
        user.ok("login")
        user.ok("sign", document)
        told = lines(process, "PERFORM SECURITY OPERATION")
    assert any("VERIFY" in line and "9000" in line for line in told)
    assert PIN.hex().upper() not in "".join(told)


def test_for_programs_each_exchange_is_a_line_of_json(user: User) -> None:
    with trace(user, "--json") as process:
        user.ok("login")
        told = [json.loads(line) for line in lines(process, '"VERIFY"')]
    assert told[0]["type"] == "reader.present"
    assert (told[-1]["type"], told[-1]["received"]) == ("exchange", 0)


def test_the_command_that_plays_a_record_can_be_pasted_whatever_the_file_is_called(user: User) -> None:
    command = user.command("trace", "--record", str(user.home / "ma carte; id.jsonl"))
    with subprocess.Popen(command, env=user.environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "Ctrl-C" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert f"--replay '{user.home}/ma carte; id.jsonl'” plays it" in process.stderr.read()


def test_a_trace_is_masked_or_full_and_not_both(user: User) -> None:
    assert user.run("trace", "--masked", "--full").status == 2


def test_a_recorded_card_is_played_again_and_names_nobody(user: User, station: Station) -> None:
    file = user.home / "carte.jsonl"
    with trace(user, "--record", str(file)) as process:
        with closing(UnixConnection(station.daemon.socket)) as connection:
            connection.request("GET", "/v1/sessions/none", headers={"X-Request-ID": SUB})
            assert connection.getresponse().headers["X-Request-ID"] == SUB
        user.ok("login")
        lines(process, "POST /v1/sessions ")
    assert process.stdout is not None
    written = file.read_text("utf-8")
    assert SUB not in written
    assert '"request":"request ' in written
    assert json.loads(written.splitlines()[0])["masked"] is True
    assert "899700" not in written
    assert "Virtual" not in written
    assert written.count('"READ BINARY"') > 10  # though the card had been read before
    assert file.stat().st_mode & 0o777 == 0o600
    assert user.run("trace", "--record", str(file)).status == 1  # nothing is written over
    with played(user, station, file):
        kinds = [card["kind"] for card in user.run("cards", "--json").rows("cards")]
    assert kinds == ["cps3", "cps3"]


@contextmanager
def played(user: User, station: Station, file: Path, number: str = "") -> Iterator[None]:
    """A recorded card in the second slot; ``simulate`` says which file it plays, and answers what it was asked."""
    where = f"127.0.0.1:{station.pcscd.ports[1]}"
    command = user.command("simulate", "--replay", f"{file}{number}", "--reader", where)
    with subprocess.Popen(command, env=user.environment, stderr=subprocess.PIPE, text=True) as playing:
        station.wait_for_cards(2)
        try:
            yield
        finally:
            playing.send_signal(signal.SIGINT)
            assert playing.stderr is not None
            told = playing.stderr.read()
    assert "carte.jsonl" in told
    assert "6F00" not in told
    station.wait_for_cards(1)


def went(user: User, reader: str) -> tuple[object, ...]:
    """What a person at the second reader sees: the card, its PIN, and how a login ends."""
    [card] = [card for card in user.run("pin", "status", "--json").rows("cards") if card["reader"] == reader]
    ran = user.run("login", "--card", str(card["id"]), "--json")
    return card["kind"], card["pin"], ran.status


@pytest.mark.parametrize(
    "name", ["cps4", "cps3 of an assistant (CPE)", "cps3 of an authorised person (CPA)", "cps3 in training (CPF)"]
)
def test_each_card_is_recorded_and_played_as_one_types_it(name: str, user: User, station: Station) -> None:
    simulator, options = EVERY[name]
    card, reader, file = simulator.card(options), station.pcscd.reader_names[1], user.home / "carte.jsonl"
    assert isinstance(card, SimulatedCard)
    with inserted(card, station.pcscd, 1):
        station.wait_for_cards(2)
        with trace(user, "--record", str(file)) as process:
            before = went(user, reader)
            lines(process, "POST /v1/sessions ")
    station.wait_for_cards(1)
    with played(user, station, file, "#2"):
        assert went(user, reader) == before
    assert before[2] == 0
    text, holder = file.read_text("utf-8").upper(), card.issued.profile
    words = [holder.family_name, holder.given_name, holder.national_id, card.issued.card_number, PIN.decode()]
    hexes = [word.encode().hex() for word in words]
    assert [one for one in [*words[:4], *hexes] if one.upper() in text] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can fill a disk")
def test_a_disk_that_is_full_is_named_and_keeps_whole_lines_or_no_file(user: User) -> None:
    with small_disk(user.home) as place:
        (place / "film").write_bytes(bytes(64 * 1024 - 4096))  # one page is left
        with suppress(OSError):
            (place / "more").write_bytes(bytes(4096))
        ran = user.run("trace", "--record", place / "carte.jsonl")
        assert (ran.status, (place / "carte.jsonl").exists()) == (1, False)
        assert f"{place}/carte.jsonl" in ran.err
        (place / "more").unlink()
        command = user.command("trace", "--record", str(place / "carte.jsonl"))
        with subprocess.Popen(command, env=user.environment, stdout=-3, stderr=-1, text=True) as process:
            assert process.stderr
            assert "Ctrl-C" in process.stderr.readline()
            user.ok("login")
            assert process.wait(20) == 1
            assert f"{place}/carte.jsonl" in process.stderr.read()
        told = (place / "carte.jsonl").read_text()
        assert told.endswith("}\n")
        assert all(json.loads(line) for line in told.splitlines())


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
