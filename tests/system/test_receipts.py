"""Receipts of what was signed: on disk with the rows, for a day and within limits, and nothing to read in them."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cardd.core.attempts import Attempts
from cardd.errors import IdempotencyKeyReused, SignatureLost
from cardd.model import AuditEntry, Caller, CallerKind, Message, Outcome, Peer, Receipt
from cardd.system.audit_file import AuditReader
from cardd.system.audit_store import SqliteAuditLog
from cardd.system.receipts import Receipts
from tests.rig.memory import ManualClock

ENTRY = AuditEntry("signature.raw", Outcome.DONE, 1000, "client", document="Ordonnance n° 1")
NAME, REQUEST = b"n" * 32, b"r" * 32
VALUE = b"the value of a signature".ljust(256, b"!")
MESSAGES = [Message(b"d" * 32)]
SEAL = b"s" * 32
CALLER = Caller(CallerKind.PROGRAM, "client", "LPS", "urn:cardd:client", Peer(1000), SEAL)

WRITE = """
import os, signal, sys, threading
from datetime import UTC, datetime
from pathlib import Path
from cardd.model import AuditEntry, Outcome, Receipt
from cardd.system.audit_store import SqliteAuditLog

log = SqliteAuditLog(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    name = number.to_bytes(32, "big")
    receipt = Receipt(name, b"r" * 32, datetime.now(UTC), b"sealed" * 80)
    log.write([AuditEntry("signature.raw", Outcome.DONE, 0, "client")], receipt)
    os.write(1, b"written")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 30, tzinfo=UTC))


@pytest.fixture
async def log(directory: Path, clock: ManualClock) -> AsyncIterator[SqliteAuditLog]:
    log = SqliteAuditLog(directory, clock)
    yield log
    await log.close()


async def test_a_receipt_is_there_when_the_process_is_killed_right_after_the_row(directory: Path) -> None:
    writing = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITE, directory, "1", stdout=subprocess.PIPE)
    await writing.communicate()
    assert writing.returncode == -signal.SIGKILL
    later = SqliteAuditLog(directory)
    found = await later.receipt(bytes(32))
    await later.close()
    assert found
    assert (found.request, found.row, found.sealed) == (REQUEST, 1, b"sealed" * 80)
    assert AuditReader(directory).verify().number == 1


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_receipt_costs_no_sync_of_its_own(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-o", str(trace), "-e", "trace=write,fsync,fdatasync"]
    program = [sys.executable, "-c", WRITE, str(tmp_path / "audit"), "6"]
    subprocess.run([*strace, *program], check=False, stdout=subprocess.DEVNULL)
    between = trace.read_text().split('"written"')[1:6]
    assert [calls.count("sync(") for calls in between] == [1] * 5


async def test_a_receipt_is_known_for_a_day(log: SqliteAuditLog, clock: ManualClock) -> None:
    log.write([ENTRY], Receipt(NAME, REQUEST, clock.now(), b"sealed"))
    clock.seconds += 86_000
    assert await log.receipt(NAME)
    clock.seconds += 1_000
    assert await log.receipt(NAME) is None
    log.write([ENTRY], Receipt(NAME, REQUEST, clock.now()))
    assert await log.receipt(NAME) == Receipt(NAME, REQUEST, clock.now().replace(microsecond=0), None, 2)


def test_old_ones_and_too_many_are_forgotten_what_is_sealed_first(clock: ManualClock) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(
            "CREATE TABLE receipt (name BLOB PRIMARY KEY, request BLOB, at INTEGER, row INTEGER, sealed)"
        )
        for _ in range(2):  # the first one after the start prunes
            receipts = Receipts(connection, receipts_max=4, sealed_max=2500)
            for row in range(1, 8):
                receipts.keep(Receipt(bytes([row]), REQUEST, clock.now(), bytes(1000)), row)
        Receipts(connection, receipts_max=4, sealed_max=2500).keep(Receipt(b"8", REQUEST, clock.now()), 8)
        left = connection.execute("SELECT row, length(sealed) FROM receipt ORDER BY row").fetchall()
        assert left == [(4, None), (5, None), (6, 1000), (7, 1000), (8, None)]
        clock.seconds += 100_000
        Receipts(connection).keep(Receipt(b"9", REQUEST, clock.now()), 9)
        assert connection.execute("SELECT row FROM receipt").fetchall() == [(9,)]


def test_a_service_that_signs_seldom_and_is_never_restarted_forgets_old_ones_too(clock: ManualClock) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(
            "CREATE TABLE receipt (name BLOB PRIMARY KEY, request BLOB, at INTEGER, row INTEGER, sealed)"
        )
        receipts = Receipts(connection)
        for row in range(1, 4):
            receipts.keep(Receipt(bytes([row]), REQUEST, clock.now(), bytes(1000)), row)
            clock.seconds += 90_000
        assert connection.execute("SELECT row FROM receipt").fetchall() == [(3,)]


async def signed_once(log: SqliteAuditLog, clock: ManualClock) -> None:
    attempt = await Attempts(log, clock, 5).begin(CALLER, "ordonnance-1", REQUEST)
    assert attempt.signed_before(MESSAGES) is None
    log.write([ENTRY], attempt.receipt(MESSAGES, [VALUE]))


async def test_a_thief_of_the_disk_reads_neither_value_nor_key_nor_caller(
    log: SqliteAuditLog, clock: ManualClock, directory: Path
) -> None:
    await signed_once(log, clock)
    octets = b"".join((directory / name).read_bytes() for name in ("audit.db", "audit.db-wal"))
    for secret in (VALUE[:16], VALUE.hex().encode()[:32], b"ordonnance-1", SEAL, MESSAGES[0].digest):
        assert secret not in octets


async def test_the_same_caller_gets_it_back_and_nobody_else(log: SqliteAuditLog, clock: ManualClock) -> None:
    await signed_once(log, clock)
    later = Attempts(log, clock, 5)
    again = await later.begin(CALLER, "ordonnance-1", REQUEST)
    assert again.signed_before(MESSAGES) == [VALUE]
    with pytest.raises(SignatureLost):
        again.signed_before([Message(b"e" * 32)])
    with pytest.raises(IdempotencyKeyReused):
        await later.begin(CALLER, "ordonnance-1", b"another request")
    other_user = Caller(CALLER.kind, CALLER.id, CALLER.name, CALLER.origin, Peer(1001), SEAL)
    assert (await later.begin(other_user, "ordonnance-1", REQUEST)).signed_before(MESSAGES) is None
    unpaired = Caller(CALLER.kind, CALLER.id, CALLER.name, CALLER.origin, Peer(1000), b"x" * 32)
    with pytest.raises(SignatureLost):
        await later.begin(unpaired, "ordonnance-1", REQUEST)
