"""Documents in the state directory."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cardd.errors import StateExposed, StateInUse, StateNotAFile, StateUnavailable
from cardd.system.audit_file import AuditReader
from cardd.system.audit_store import SqliteAuditLog
from cardd.system.private import keep_others_out, refuse_exposed_directory
from cardd.system.store import FileStore
from tests.rig import dying, no_file, other_user
from tests.rig.daemon import DaemonProcess


def test_a_document_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    FileStore(tmp_path / "state").save("clients", '{"name": "Cabinet – SIMULATION"}')
    assert FileStore(tmp_path / "state").load("clients") == '{"name": "Cabinet – SIMULATION"}'


def test_there_is_no_document_before_the_first_save(tmp_path: Path) -> None:
    assert FileStore(tmp_path / "state").load("clients") is None


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    FileStore(tmp_path / "state").save("clients", "{}")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / "clients.json").stat().st_mode) == 0o600


def test_a_reader_sees_the_old_or_the_new_document_and_never_a_part(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    versions = ["a" * 50_000, "b" * 90_000]
    store.save("clients", versions[0])
    seen = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(FileStore(tmp_path).load("clients"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        store.save("clients", versions[number % 2])
    stop.set()
    reader.join()
    assert seen <= set(versions)


def test_a_full_disk_leaves_the_old_document_and_nothing_else(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.save("clients", "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StateUnavailable):
            store.save("clients", "n" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.load("clients") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["clients.json"]


def test_what_an_interrupted_save_left_does_not_disturb_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "clients.new").write_text("half a docum")
    FileStore(tmp_path).save("clients", "whole")
    assert FileStore(tmp_path).load("clients") == "whole"


def test_a_document_that_is_no_text_is_told(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "state")
    store.save("clients", "{}")
    Path(store.place("clients")).write_bytes(b"\xff\xfe")
    with pytest.raises(StateUnavailable) as caught:
        store.load("clients")
    assert caught.value.params == {"file": str(tmp_path / "state" / "clients.json"), "why": "UTF-8"}


@pytest.mark.parametrize(("directory", "file"), [(0o777, 0o600), (0o770, 0o600), (0o700, 0o640), (0o700, 0o604)])
def test_what_others_may_change_or_read_is_refused(tmp_path: Path, directory: int, file: int) -> None:
    FileStore(tmp_path / "state").save("clients", '{"planted": true}')
    (tmp_path / "state" / "clients.json").chmod(file)
    (tmp_path / "state").chmod(directory)
    with pytest.raises(StateExposed):
        FileStore(tmp_path / "state").load("clients")


@other_user.needs_root
@pytest.mark.parametrize("whose", ["state", "state/clients.json"])
def test_what_belongs_to_another_user_is_refused(tmp_path: Path, whose: str) -> None:
    FileStore(tmp_path / "state").save("clients", '{"planted": true}')
    os.chown(tmp_path / whose, other_user.UID, -1)
    with pytest.raises(StateExposed) as refused:
        FileStore(tmp_path / "state").load("clients")
    assert (refused.value.params["file"], refused.value.params["owner"]) == (str(tmp_path / whose), other_user.UID)


def test_nothing_is_written_where_others_may_write(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    with pytest.raises(StateExposed):
        FileStore(tmp_path / "state").save("clients", "{}")
    assert not list((tmp_path / "state").iterdir())


@pytest.mark.parametrize("name", ["../clients", "a/b", "", ".", "Clients", "a\0b"])
def test_a_name_cannot_leave_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a document"):
        FileStore(tmp_path).load(name)


def test_the_daemon_does_not_start_on_a_planted_directory(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    daemon.state.mkdir()
    daemon.state.chmod(0o777)
    (daemon.state / "clients.json").write_text('{"format": 1, "entries": {}}')
    command = [sys.executable, "-m", "cardd.cli.cardd", "run", "--config", str(daemon.configuration)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert str(daemon.state) in ended.stderr


@no_file.every_kind
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    with no_file.made(kind, tmp_path / "state" / "clients.json"), pytest.raises(StateNotAFile) as refused:
        FileStore(tmp_path / "state").load("clients")
    assert refused.value.params["file"] == str(tmp_path / "state" / "clients.json")


@no_file.every_kind
@pytest.mark.parametrize("name", ["audit.db", "audit.db-wal", "head"])
async def test_a_log_of_which_a_part_is_no_file_is_refused_and_not_waited_for(
    tmp_path: Path, kind: str, name: str
) -> None:
    (tmp_path / "audit").mkdir(mode=0o700)
    log = SqliteAuditLog(tmp_path / "audit")
    with no_file.made(kind, tmp_path / "audit" / name), pytest.raises(StateNotAFile) as refused:
        await log.open()
    await log.close()
    assert refused.value.params["file"] == str(tmp_path / "audit" / name)


@no_file.every_kind
@pytest.mark.parametrize("name", ["audit.db", "head"])
def test_who_reads_such_a_log_is_told_so(tmp_path: Path, kind: str, name: str) -> None:
    with no_file.made(kind, tmp_path / name), pytest.raises(StateNotAFile):
        AuditReader(tmp_path).verify()


def test_the_daemon_does_not_start_where_a_pipe_stands_for_its_state_and_says_so(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    daemon.state.mkdir(mode=0o700)
    os.mkfifo(daemon.state / "origins.json", 0o600)
    command = [sys.executable, "-m", "cardd.cli.cardd", "run", "--config", str(daemon.configuration)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
    assert ended.returncode == 1
    assert f"{daemon.state / 'origins.json'} is no file, but a pipe" in ended.stderr


def test_a_directory_below_a_file_is_told_and_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("SIMULATION")
    place = tmp_path / "file" / "state"
    with pytest.raises(StateUnavailable):
        FileStore(place).load("clients")
    with pytest.raises(StateUnavailable):
        refuse_exposed_directory(place)
    assert keep_others_out(place) is None


def test_a_directory_is_one_daemon_s(tmp_path: Path) -> None:
    held = keep_others_out(tmp_path)
    assert held is not None
    with pytest.raises(StateInUse):
        keep_others_out(tmp_path)
    os.close(held)
    again = keep_others_out(tmp_path)
    assert again is not None
    os.close(again)


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_a_daemon_killed_at_any_write_of_state_and_log_leaves_what_the_next_one_goes_on_with(tmp_path: Path) -> None:
    deaths, faults = dying.faults_of_every_death(tmp_path)
    assert faults == []
    assert deaths > 30
