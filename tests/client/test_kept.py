"""A program pairs once: its secret is kept where only its user can read it."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from cardd.client import CarddClient, KeptSecret
from cardd.errors import ClientUnknown, PairingRefused, SecretExposed, SecretUnavailable
from cardd.model import Choice
from tests.api.workbench import Workbench

ABOUT = ("LPS", "SIMULATION", "mon-lps")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeptSecret:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return KeptSecret("mon-lps")


async def run(where: Path | str, codes: list[str]) -> str | None:
    """One run of the program, which does something; the secret that it has at its end."""
    async with CarddClient(where) as cardd:
        await cardd.pair_once(*ABOUT, on_code=lambda pairing: codes.append(pairing.code))
        await cardd.readers()
        return cardd.secret


def unpair(bench: Workbench, secret: str | None) -> None:
    assert secret is not None
    bench.parts.clients.remove(secret.partition(".")[0], os.getuid())


async def test_the_second_run_does_not_pair_again_and_an_unpaired_program_does(
    bench: Workbench, kept: KeptSecret
) -> None:
    codes: list[str] = []
    first = await run(bench.base(), codes)
    assert (await run(Path(bench.path), codes), kept.load(), len(codes)) == (first, first, 1)

    unpair(bench, first)
    second = await run(Path(bench.path), codes)
    assert (second != first, kept.load(), len(codes)) == (True, second, 2)


async def test_over_tcp_a_program_that_is_told_to_be_unknown_pairs_with_nobody(
    bench: Workbench, kept: KeptSecret
) -> None:
    codes: list[str] = []
    unpair(bench, await run(bench.base(), codes))
    with pytest.raises(ClientUnknown):  # whoever took the port could say it, too
        await run(bench.base(), codes)
    kept.forget()
    await run(bench.base(), codes)
    assert len(codes) == 2


async def test_two_processes_that_come_at_once_ask_the_user_once(bench: Workbench, kept: KeptSecret) -> None:
    codes: list[str] = []
    first, second = await asyncio.gather(run(Path(bench.path), codes), run(Path(bench.path), codes))
    assert (len(codes), first, second) == (1, kept.load(), kept.load())

    unpair(bench, first)
    first, second = await asyncio.gather(run(Path(bench.path), codes), run(Path(bench.path), codes))
    assert (len(codes), first, second) == (2, kept.load(), kept.load())


async def test_nobody_is_asked_where_the_secret_cannot_be_kept(bench: Workbench, kept: KeptSecret) -> None:
    codes: list[str] = []
    kept.path.parent.parent.mkdir()
    kept.path.parent.write_text("a file in the folder's place")
    with pytest.raises(SecretUnavailable):
        await run(Path(bench.path), codes)
    assert codes == []


async def test_a_refused_pairing_keeps_nothing(bench: Workbench, kept: KeptSecret) -> None:
    bench.person.choice = Choice.NO
    async with CarddClient(bench.base()) as cardd:
        with pytest.raises(PairingRefused):
            await cardd.pair_once(*ABOUT)
    assert kept.load() is None


def test_the_file_is_its_users_alone_and_one_that_others_may_read_is_refused(kept: KeptSecret) -> None:
    previous = os.umask(0)
    try:
        kept.save("one")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    kept.save("two")
    assert kept.load() == "two"
    assert [path.name for path in kept.path.parent.iterdir()] == [kept.path.name]

    kept.path.chmod(0o640)
    with pytest.raises(SecretExposed):
        kept.load()
    kept.forget()
    kept.forget()
    assert kept.load() is None


def test_a_link_or_a_pipe_in_its_place_is_refused(kept: KeptSecret, tmp_path: Path) -> None:
    kept.path.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").write_text("secret")
    (tmp_path / "elsewhere").chmod(0o600)
    kept.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SecretUnavailable):
        kept.load()
    kept.path.unlink()
    os.mkfifo(kept.path, 0o600)
    with pytest.raises(SecretUnavailable):
        kept.load()
    kept.save("mine")
    assert (kept.load(), (tmp_path / "elsewhere").read_text()) == ("mine", "secret")
