"""A program pairs once: its secret is kept where only its user can read it."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from cardd.client import CarddClient, SecretFile
from cardd.errors import ClientUnknown, PairingRefused, SecretExposed, SecretUnavailable
from cardd.model import Choice
from tests.api.workbench import Workbench

ABOUT = ("LPS", "SIMULATION", "mon-lps")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SecretFile:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return SecretFile("mon-lps")


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
    bench: Workbench, file: SecretFile
) -> None:
    codes: list[str] = []
    first = await run(bench.base(), codes)
    assert (await run(Path(bench.path), codes), file.load(), len(codes)) == (first, first, 1)

    unpair(bench, first)
    second = await run(Path(bench.path), codes)
    assert (second != first, file.load(), len(codes)) == (True, second, 2)


async def test_over_tcp_a_program_that_is_told_to_be_unknown_pairs_with_nobody(
    bench: Workbench, file: SecretFile
) -> None:
    codes: list[str] = []
    unpair(bench, await run(bench.base(), codes))
    with pytest.raises(ClientUnknown):  # whoever took the port could say it, too
        await run(bench.base(), codes)
    file.forget()
    await run(bench.base(), codes)
    assert len(codes) == 2


async def test_two_processes_that_come_at_once_ask_the_user_once(bench: Workbench, file: SecretFile) -> None:
    codes: list[str] = []
    first, second = await asyncio.gather(run(Path(bench.path), codes), run(Path(bench.path), codes))
    assert (len(codes), first, second) == (1, file.load(), file.load())

    unpair(bench, first)
    first, second = await asyncio.gather(run(Path(bench.path), codes), run(Path(bench.path), codes))
    assert (len(codes), first, second) == (2, file.load(), file.load())


async def test_nobody_is_asked_where_the_secret_cannot_be_kept(bench: Workbench, file: SecretFile) -> None:
    codes: list[str] = []
    file.path.parent.parent.mkdir()
    file.path.parent.write_text("a file in the folder's place")
    with pytest.raises(SecretUnavailable):
        await run(Path(bench.path), codes)
    assert codes == []


async def test_a_refused_pairing_keeps_nothing(bench: Workbench, file: SecretFile) -> None:
    bench.person.choice = Choice.NO
    async with CarddClient(bench.base()) as cardd:
        with pytest.raises(PairingRefused):
            await cardd.pair_once(*ABOUT)
    assert file.load() is None


def test_the_file_is_its_users_alone_and_one_that_others_may_read_is_refused(file: SecretFile) -> None:
    previous = os.umask(0)
    try:
        file.save("one")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.save("two")
    assert file.load() == "two"
    assert [path.name for path in file.path.parent.iterdir()] == [file.path.name]

    file.path.chmod(0o640)
    with pytest.raises(SecretExposed):
        file.load()
    file.forget()
    file.forget()
    assert file.load() is None


def test_a_link_or_a_pipe_in_its_place_is_refused(file: SecretFile, tmp_path: Path) -> None:
    file.path.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").write_text("secret")
    (tmp_path / "elsewhere").chmod(0o600)
    file.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SecretUnavailable):
        file.load()
    file.path.unlink()
    os.mkfifo(file.path, 0o600)
    with pytest.raises(SecretUnavailable):
        file.load()
    file.save("mine")
    assert (file.load(), (tmp_path / "elsewhere").read_text()) == ("mine", "secret")


def test_a_folder_that_is_none_keeps_and_forgets_nothing_and_says_so(file: SecretFile) -> None:
    file.path.parent.parent.mkdir()
    file.path.parent.write_text("a file in the folder's place")
    for act in (file.load, file.forget, lambda: file.save("one")):
        with pytest.raises(SecretUnavailable) as told:
            act()
        assert told.value.params["file"] == str(file.path)
