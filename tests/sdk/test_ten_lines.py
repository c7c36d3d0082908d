"""A maker's first day: the ten lines of each library, where all is well and where it is not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.workstation import Workstation
from tests.rig.simulator import simulated_card
from tests.sdk.libraries import LIBRARIES, Library, TenLines

NOBODY = 65534


as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to another user")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    """A doctor's card is in."""
    station = Workstation(tmp_path_factory.mktemp("station"))
    with station.running(), station.card(simulated_card()):
        yield station


@pytest.fixture(scope="module", params=LIBRARIES)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Library:
    return LIBRARIES[request.param](tmp_path_factory)


@pytest.fixture
def program(library: Library, station: Workstation, tmp_path: Path) -> TenLines:
    return TenLines(library, station, tmp_path)


def test_two_runs_at_once_show_the_digits_of_one_dialog_and_the_next_run_shows_none(program: TenLines) -> None:
    program.kept.parent.mkdir(parents=True)
    program.kept.with_name("cardd-secret.lock").touch(0o600)  # by a run that was killed
    (code,) = program.codes(program.start(), program.start())
    shown = [dialog.description for dialog in program.station.pinentry.shown() if code in dialog.description]
    assert (len(shown), program.mode()) == (1, 0o600)
    assert program.codes() == []


def test_an_unpaired_program_pairs_anew_where_nobody_but_cardd_can_have_said_so(program: TenLines) -> None:
    program.kept.parent.mkdir(parents=True)
    program.kept.write_text("0123456789abcdef.unpaired")
    program.kept.chmod(0o600)
    assert len(program.codes()) == 1
    program.speak_to(program.station.daemon.url)
    assert program.codes() == []  # the daemon proves itself

    program.kept.write_text("0123456789abcdef.unpaired")
    assert "client.unknown" in program.refusal()  # whoever took the port could say it, too


def test_a_secret_that_others_may_read_or_that_is_theirs_is_not_used(program: TenLines) -> None:
    program.kept.parent.mkdir(parents=True)
    program.kept.write_text("0123456789abcdef.exposed")
    before = program.dialogs()
    program.kept.chmod(0o640)
    assert "client.secret_exposed" in program.refusal()
    program.kept.chmod(0o600)
    if os.getuid() == 0:
        os.chown(program.kept, NOBODY, NOBODY)
        assert "client.secret_exposed" in program.refusal()
    program.kept.unlink()
    os.mkfifo(program.kept, 0o600)
    assert "client.secret_unavailable" in program.refusal()
    assert program.dialogs() == before


async def test_who_listens_instead_of_cardd_is_told_nothing(program: TenLines, tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        answer = b'{"name":"cardd","version":"0.2.0","state":"ready","advised":null,"methods":[]}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer))
        writer.write(answer)
        await writer.drain()
        writer.close()

    program.kept.parent.mkdir(parents=True)
    program.kept.write_text("0123456789abcdef.a-secret")
    program.kept.chmod(0o600)
    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        program.speak_to(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        assert "daemon.unproven" in await asyncio.to_thread(program.refusal)
    assert heard
    assert b"a-secret" not in b"".join(heard)

    heard.clear()
    everybodys = tmp_path / "everybodys"
    everybodys.mkdir()
    everybodys.chmod(0o777)
    async with await asyncio.start_unix_server(listen, everybodys / "cardd.sock"):
        program.speak_to(str(everybodys / "cardd.sock"))
        assert "daemon.socket_exposed" in await asyncio.to_thread(program.refusal)
    program.speak_to(str(everybodys / "nobody.sock"))
    assert "daemon.unreachable" in await asyncio.to_thread(program.refusal)
    assert heard == []


def test_refused_or_without_a_card_it_says_so_and_after_a_restart_it_goes_on(
    library: Library, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    station = Workstation(tmp_path_factory.mktemp("bare"))
    with station.running():
        program = TenLines(library, station, tmp_path)
        station.pinentry.answer("cancel")
        assert "client.pairing_refused" in program.refusal()
        assert not program.kept.exists()
        assert "card.absent" in program.refusal()
        with station.card(simulated_card()):
            station.daemon.stop()
            assert "daemon.unreachable" in program.refusal()
            station.daemon.start()
            station.wait_for_cards(1)
            assert program.codes() == []
