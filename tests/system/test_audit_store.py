"""The audit log on disk: rows that stay, tampering that is found, faults that are told."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cardd.core.audit import EMPTY, Head
from cardd.errors import AuditBroken, AuditHeadBroken, AuditUnavailable
from cardd.model import AuditEntry, Outcome
from cardd.secret import Secret
from cardd.system.audit_file import AuditReader
from cardd.system.audit_store import HEAD_DELAY, Custody, SqliteAuditLog
from cardd.values import replace
from tests.rig import other_user

ENTRY = AuditEntry("signature.raw", Outcome.DONE, 1000, "client", caller_name="SIMULATION", document="Ordonnance n° 1")
FILES = ("audit.db", "audit.db-wal", "audit.db-shm", "head")
NAMES = (
    "number time action outcome uid caller caller_name session digest document certificate consent code request hash"
)
COLUMNS = ", ".join(NAMES.split())

IMPORTS = """
import asyncio, os, signal, sys
from pathlib import Path
from cardd.model import AuditEntry, Outcome
from cardd.system.audit_store import Custody, SqliteAuditLog
"""
APPEND = """
async def main(count, kill=False):
    log = SqliteAuditLog(Path(sys.argv[1]))
    for _ in range(count):
        await log.append(AuditEntry("signature.raw", Outcome.DONE, 0, "client"))
        os.write(1, b"appended")
    if kill:
        os.kill(os.getpid(), signal.SIGKILL)
    await log.close()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit"


@pytest.fixture
async def log(directory: Path) -> AsyncIterator[SqliteAuditLog]:
    log = SqliteAuditLog(directory)
    yield log
    await log.close()


async def write(directory: Path, count: int, custody: Custody | None = None) -> None:
    log = SqliteAuditLog(directory, custody=custody)
    try:
        for number in range(count):
            await log.append(replace(ENTRY, document=f"document {number}"))
    finally:
        await log.close()


def replace_head(head: Path, content: bytes | None) -> None:
    head.unlink()
    if content is not None:
        head.write_bytes(content)
        head.chmod(0o600)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files(directory: Path) -> list[str]:
    return [file.name for file in directory.iterdir()]


def tamper(directory: Path, *statements: str) -> None:
    """What somebody with the sqlite3 program would do."""
    with sqlite3.connect(directory / "audit.db") as connection:
        for trigger in ("audit_no_update", "audit_no_delete"):
            connection.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def fault(directory: Path) -> tuple[object, object]:
    with pytest.raises(AuditBroken) as caught:
        AuditReader(directory).verify()
    return caught.value.params["row"], caught.value.params["why"]


async def test_rows_are_numbered_chained_and_read_back_as_they_were(log: SqliteAuditLog, directory: Path) -> None:
    first = await log.append(ENTRY)
    second = await log.append(replace(ENTRY, outcome=Outcome.FAILED, code="card.removed"))
    reader = AuditReader(directory)
    assert reader.tail(10) == [first, second]
    assert reader.tail(1) == [second]
    assert (first.number, second.number) == (1, 2)
    assert reader.verify().hash == second.hash


async def test_the_log_goes_on_after_a_restart(directory: Path) -> None:
    await write(directory, 3)
    await write(directory, 2)
    assert AuditReader(directory).verify().number == 5


async def test_nobody_else_may_read_it(log: SqliteAuditLog, directory: Path) -> None:
    await log.append(ENTRY)
    assert mode(directory) == 0o700
    assert {name: mode(directory / name) for name in files(directory)} == dict.fromkeys(FILES, 0o600)


def test_a_row_is_there_when_the_process_is_killed_right_after_append(directory: Path) -> None:
    code = f"{IMPORTS}\n{APPEND}asyncio.run(main(1, kill=True))"
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", code, directory], check=False).returncode == -signal.SIGKILL
    assert AuditReader(directory).verify().number == 3


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_each_append_is_synced_to_disk_before_it_returns(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-o", str(trace), "-e", "trace=write,fsync,fdatasync"]
    program = [sys.executable, "-c", f"{IMPORTS}\n{APPEND}asyncio.run(main(6))", str(tmp_path / "audit")]
    subprocess.run([*strace, *program], check=True, stdout=subprocess.DEVNULL)
    between = trace.read_text().split('"appended"')[1:6]
    assert len(between) == 5
    assert all("sync(" in calls for calls in between)


async def test_many_callers_at_once_get_one_row_each(log: SqliteAuditLog, directory: Path) -> None:
    rows = await asyncio.gather(*(log.append(ENTRY) for _ in range(50)))
    assert sorted(row.number for row in rows) == list(range(1, 51))
    assert AuditReader(directory).verify().number == 50


async def test_the_log_is_read_and_verified_while_the_daemon_writes(log: SqliteAuditLog, directory: Path) -> None:
    await log.append(ENTRY)
    writing = asyncio.gather(*(log.append(ENTRY) for _ in range(300)))
    reader = AuditReader(directory)
    checked = []
    while not writing.done():
        checked.append((await asyncio.to_thread(reader.verify)).number)
    await writing
    assert checked == sorted(checked)
    assert reader.verify().number == 301


async def test_an_empty_or_absent_log_is_whole(log: SqliteAuditLog, directory: Path) -> None:
    assert AuditReader(directory).verify() == EMPTY
    await log.open()
    assert AuditReader(directory).verify() == EMPTY
    assert AuditReader(directory).tail(5) == []


async def test_the_export_has_each_row_as_json_with_the_fields_in_one_order(directory: Path) -> None:
    await write(directory, 2)
    lines = [json.loads(line) for line in AuditReader(directory).export()]
    assert [list(line) for line in lines] == [NAMES.split()] * 2
    assert [line["document"] for line in lines] == ["document 0", "document 1"]
    assert lines[-1]["hash"] == AuditReader(directory).verify().hash


async def test_sqlite_itself_refuses_to_change_or_delete_rows(directory: Path) -> None:
    await write(directory, 2)
    connection = sqlite3.connect(directory / "audit.db")
    for statement in ("UPDATE audit SET uid = 0", "DELETE FROM audit"):
        with pytest.raises(sqlite3.IntegrityError, match="append only"):
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "row", "why"),
    [
        ("UPDATE audit SET document = 'another' WHERE number = 3", 3, "changed"),
        ("UPDATE audit SET document = NULL WHERE number = 3", 3, "changed"),
        ("UPDATE audit SET outcome = 'perhaps' WHERE number = 3", 3, "changed"),
        ("UPDATE audit SET time = 'yesterday' WHERE number = 3", 3, "changed"),
        ("UPDATE audit SET time = replace(time, 'Z', '+00:00') WHERE number = 3", 3, "changed"),
        ("UPDATE audit SET hash = upper(hash) WHERE number = 3", 3, "changed"),
        ("DELETE FROM audit WHERE number = 3", 3, "removed"),
        ("DELETE FROM audit WHERE number = 1", 1, "removed"),
        ("DELETE FROM audit WHERE number = 5", 5, "removed_at_end"),
        ("DELETE FROM audit", 1, "removed_at_end"),
        ("UPDATE audit SET number = number + 10 WHERE number = 2", 2, "removed"),
        (
            f"INSERT INTO audit ({COLUMNS}) SELECT 6, {COLUMNS.removeprefix('number, ')} FROM audit WHERE number = 5",
            6,
            "changed",
        ),
    ],
)
async def test_tampering_is_found_with_the_first_bad_row(directory: Path, statement: str, row: int, why: str) -> None:
    await write(directory, 5)
    tamper(directory, statement)
    assert fault(directory) == (row, why)


async def test_rows_that_were_swapped_are_found(directory: Path) -> None:
    await write(directory, 5)
    tamper(
        directory,
        "UPDATE audit SET number = 99 WHERE number = 2",
        "UPDATE audit SET number = 2 WHERE number = 3",
        "UPDATE audit SET number = 3 WHERE number = 99",
    )
    assert fault(directory) == (2, "changed")


async def test_a_log_whose_file_was_taken_away_is_not_whole(directory: Path) -> None:
    await write(directory, 5)
    (directory / "audit.db").unlink()
    assert fault(directory) == (1, "removed_at_end")


async def test_a_log_whose_end_was_cut_is_not_continued(directory: Path) -> None:
    await write(directory, 5)
    tamper(directory, "DELETE FROM audit WHERE number > 3")
    log = SqliteAuditLog(directory)
    with pytest.raises(AuditUnavailable) as caught:
        await log.append(ENTRY)
    await log.close()
    assert (caught.value.code, caught.value.params) == ("audit.broken", {"row": 4, "why": "removed_at_end"})
    assert fault(directory) == (4, "removed_at_end")


async def test_a_head_left_behind_by_a_power_cut_is_brought_up_to_date(directory: Path) -> None:
    await write(directory, 3)
    lagging = (directory / "head").read_bytes()
    await write(directory, 4)
    (directory / "head").write_bytes(lagging)
    assert AuditReader(directory).verify().number == 7
    await write(directory, 1)
    assert AuditReader(directory).verify().number == 8


@pytest.mark.parametrize("head", [None, b"", b"garbled\n", b"0" * 86, b"\0" * 151])
async def test_rows_taken_from_the_end_are_told_whatever_became_of_the_head(
    directory: Path, head: bytes | None
) -> None:
    await write(directory, 5)
    tamper(directory, "DELETE FROM audit WHERE number > 3")
    replace_head(directory / "head", head)
    with pytest.raises(AuditHeadBroken):
        AuditReader(directory).verify()
    with pytest.raises(AuditHeadBroken):
        await write(directory, 1)


async def test_the_second_place_shows_what_was_taken_from_the_end(directory: Path) -> None:
    custody = Custody(directory.parent / "audit-head")
    await write(directory, 5, custody)
    tamper(directory, "DELETE FROM audit WHERE number > 3")
    (directory / "head").unlink()
    with pytest.raises(AuditBroken) as broken:
        AuditReader(directory, custody.second).verify()
    assert broken.value.params == {"row": 4, "why": "removed_at_end"}
    with pytest.raises(AuditBroken):
        await write(directory, 1, custody)


async def test_a_log_that_was_taken_away_with_its_directory_is_told(directory: Path) -> None:
    custody = Custody(directory.parent / "audit-head")
    await write(directory, 5, custody)
    shutil.rmtree(directory)
    with pytest.raises(AuditBroken):
        await write(directory, 1, custody)
    with pytest.raises(AuditBroken):
        AuditReader(directory, custody.second).verify()


async def test_one_head_that_was_lost_is_a_row_and_signing_goes_on(directory: Path) -> None:
    custody = Custody(directory.parent / "audit-head")
    await write(directory, 2, custody)
    for lost in (directory / "head", directory.parent / "audit-head"):
        lost.unlink()
        with pytest.raises(AuditHeadBroken):
            AuditReader(directory, custody.second).verify()
        await write(directory, 1, custody)
    reader = AuditReader(directory, custody.second)
    assert reader.verify().number == 6
    assert [(row.number, row.entry.code) for row in reader.breaks()] == [
        (3, "audit.head_broken"),
        (5, "audit.head_broken"),
    ]


async def test_a_broken_log_goes_on_where_that_is_configured_and_the_break_stays_in_it(directory: Path) -> None:
    await write(directory, 5)
    was = AuditReader(directory).verify().hash
    tamper(directory, "DELETE FROM audit WHERE number > 3")
    await write(directory, 1, Custody(goes_on=True))
    reader = AuditReader(directory)
    assert reader.verify().number == 5
    [told] = reader.breaks()
    assert (told.number, told.entry.code, told.entry.digest) == (4, "audit.broken", was)
    assert told.entry.document == "row=4, why=removed_at_end, head=5"
    await write(directory, 1)
    assert len(reader.breaks()) == 1


async def test_a_head_that_somebody_else_wrote_has_no_seal_that_holds(directory: Path) -> None:
    custody = Custody(directory.parent / "audit-head", seal_key=Secret.of(b"SIMULATION" * 4))
    await write(directory, 5, custody)
    sealed = (directory / "head").read_text().split()
    tamper(directory, "DELETE FROM audit WHERE number > 3")
    with sqlite3.connect(directory / "audit.db") as connection:
        [digest] = connection.execute("SELECT hash FROM audit WHERE number = 3").fetchone()
    connection.close()
    for seal, why in ((sealed[2], "forged"), ("-" * 64, "unsealed")):
        for place in (directory / "head", directory.parent / "audit-head"):
            place.write_text(f"{3:020d} {digest} {seal}\n")
        with pytest.raises(AuditHeadBroken) as broken:
            await write(directory, 1, custody)
        assert broken.value.params["why"] == why
        with pytest.raises(AuditHeadBroken):
            AuditReader(directory, custody.second, custody.seal_key).verify()


async def test_a_log_is_sealed_and_unsealed_by_the_configuration_without_alarm(directory: Path) -> None:
    key = Secret.of(b"SIMULATION" * 4)
    for custody in (Custody(), Custody(seal_key=key), Custody(), Custody(seal_key=key)):
        await write(directory, 1, custody)
    acts = [row.entry.action for row in AuditReader(directory, seal_key=key).tail(10)]
    seal, unseal, one = "audit.seal", "audit.unseal", "signature.raw"
    assert acts == [one, seal, one, unseal, one, seal, one]
    assert AuditReader(directory, seal_key=key).verify().number == 7


@pytest.mark.parametrize("second", [False, True])
def test_a_kill_between_row_and_head_looks_like_no_attack(directory: Path, second: bool) -> None:
    place = directory.parent / "audit-head" if second else None
    code = f"{IMPORTS}\n{APPEND}asyncio.run(main(2, kill=True))"
    code = (
        code.replace("Path(sys.argv[1]))", "Path(sys.argv[1]), custody=Custody(Path(sys.argv[2])))") if second else code
    )
    for _ in range(2):
        command = [sys.executable, "-c", code, str(directory), *([str(place)] if place else [])]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    lagging = int((directory / "head").read_text().split()[0])
    assert lagging < 4
    reader = AuditReader(directory, place)
    assert (reader.verify().number, reader.breaks()) == (4, [])


async def test_a_row_that_a_cards_thread_writes_as_the_log_closes_asks_for_no_head(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = SqliteAuditLog(directory)
    await log.append(ENTRY)
    await asyncio.sleep(2 * HEAD_DELAY)
    log.write([ENTRY])  # its wish for the head waits on the loop
    await log.close()
    await asyncio.sleep(2 * HEAD_DELAY)
    assert caplog.text == ""


async def test_each_head_is_told_once_it_is_down(directory: Path) -> None:
    told: list[Head] = []
    await write(directory, 3, Custody(told=told.append))
    assert told[-1] == AuditReader(directory).verify()


async def test_a_lagging_head_does_not_hide_a_bad_row(directory: Path) -> None:
    await write(directory, 3)
    lagging = (directory / "head").read_bytes()
    await write(directory, 4)
    (directory / "head").write_bytes(lagging)
    tamper(directory, "UPDATE audit SET document = 'another' WHERE number = 6")
    with pytest.raises(AuditUnavailable):
        await write(directory, 1)


async def test_a_second_writer_is_refused_while_the_first_one_lives(log: SqliteAuditLog, directory: Path) -> None:
    await log.append(ENTRY)
    with pytest.raises(AuditUnavailable):
        await write(directory, 1)
    await log.append(ENTRY)
    assert AuditReader(directory).verify().number == 2


async def test_a_full_disk_is_told_and_the_log_goes_on_when_there_is_room_again(
    log: SqliteAuditLog, directory: Path
) -> None:
    await log.append(ENTRY)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(AuditUnavailable):
            await log.append(replace(ENTRY, document="x" * 5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    row = await log.append(ENTRY)
    assert row.number == 2
    assert AuditReader(directory).verify().number == 2


async def test_who_asks_before_a_dialog_is_told_of_a_full_disk_until_there_is_room_again(
    log: SqliteAuditLog, directory: Path
) -> None:
    await log.ensure_writable()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(AuditUnavailable):
            await log.append(replace(ENTRY, document="x" * 5000))
        for _ in range(2):
            with pytest.raises(AuditUnavailable):
                await log.ensure_writable()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await log.ensure_writable()
    await log.append(ENTRY)
    assert AuditReader(directory).verify().number == 1


@other_user.needs_root
def test_a_reader_that_is_root_leaves_no_file_that_the_daemon_cannot_open(tmp_path: Path) -> None:
    other_user.open_to_everybody(tmp_path)
    directory = tmp_path / "audit"
    for number in range(1, 4):
        other_user.run(APPEND + "asyncio.run(main(1))", directory, imports=IMPORTS)
        assert AuditReader(directory).verify().number == number
