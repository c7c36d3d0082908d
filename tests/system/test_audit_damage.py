"""An audit log whose file was damaged, replaced or never was one: told as such, and no row is lost silently."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cardd.errors import AuditBroken, AuditDamaged, AuditUnavailable
from cardd.system.audit_file import AuditReader
from cardd.system.audit_store import SqliteAuditLog
from tests.system.test_audit_store import ENTRY, write


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit"


def overwrite_with_text(directory: Path) -> None:
    (directory / "audit.db").write_bytes(b"this was a database\n" * 500)


@pytest.mark.parametrize(
    ("before", "after"), [(b"caller_name", b"caller_nam\xb2"), (b"CREATE TABLE audit ", b"CREATE TABL\xb2 audit ")]
)
async def test_a_file_whose_own_description_is_no_text_is_damaged(directory: Path, before: bytes, after: bytes) -> None:
    await write(directory, 1)
    file = directory / "audit.db"
    file.write_bytes(file.read_bytes().replace(before, after))
    with pytest.raises(AuditDamaged):
        AuditReader(directory).verify()


def test_a_table_of_the_log_s_name_that_is_none_is_told_as_changed(directory: Path) -> None:
    directory.mkdir(parents=True)
    with closing(sqlite3.connect(directory / "audit.db")) as other:
        other.executescript("CREATE TABLE audit (hash); INSERT INTO audit VALUES ('a'); PRAGMA user_version = 4;")
    with pytest.raises(AuditBroken):
        AuditReader(directory).tail(1)


def replace_by_a_directory(directory: Path) -> None:
    (directory / "audit.db").unlink()
    (directory / "audit.db").mkdir()


def replace_by_a_link(directory: Path) -> None:
    elsewhere = directory.parent / "elsewhere.db"
    (directory / "audit.db").rename(elsewhere)
    (directory / "audit.db").symlink_to(elsewhere)


async def test_a_damaged_file_is_told_as_such_and_no_disk_space_is_asked_for(directory: Path) -> None:
    await write(directory, 1)
    overwrite_with_text(directory)
    log = SqliteAuditLog(directory)
    with pytest.raises(AuditDamaged) as damaged:
        await log.append(ENTRY)
    assert "disk" not in damaged.value.told("en").remedy
    assert not damaged.value.retryable
    await log.close()


@pytest.mark.parametrize("damage", [overwrite_with_text, replace_by_a_directory, replace_by_a_link])
async def test_a_damaged_file_makes_the_log_unavailable(directory: Path, damage: Callable[[Path], None]) -> None:
    await write(directory, 3)
    damage(directory)
    with pytest.raises(AuditUnavailable):
        await write(directory, 1)


async def test_a_damaged_file_is_told_to_its_reader_too(directory: Path) -> None:
    await write(directory, 3)
    overwrite_with_text(directory)
    with pytest.raises(AuditUnavailable):
        AuditReader(directory).verify()


async def test_a_place_that_cannot_be_written_makes_the_log_unavailable() -> None:
    with pytest.raises(AuditUnavailable):
        await write(Path("/proc/audit"), 1)
