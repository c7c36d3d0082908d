"""State that grows: what older daemons wrote is read, what newer ones wrote is refused, and nothing is lost between.

``released`` has a state directory of each released cardd, written by that cardd itself; all that it tells is invented.
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from cardd.api.parts import Parts
from cardd.assembly import assemble
from cardd.config import Config, Support
from cardd.core.events import EventBus
from cardd.core.recording import Pseudonyms
from cardd.core.register import Register
from cardd.core.state_file import Content, StateFile, Step
from cardd.errors import AuditUnavailable, StateDamaged, StateTooNew
from cardd.identity.ecps.state import LoginHints, ResumableSessions
from cardd.identity.expiry import ExpiryWatch
from cardd.model import AuditEntry, Caller, CallerKind, Outcome, Peer
from cardd.ports import Store
from cardd.system.audit_file import COLUMNS, FORMATS, AuditReader
from cardd.system.audit_store import SqliteAuditLog
from cardd.system.store import FileStore
from tests.rig.memory import ManualClock, MemorySecrets, MemoryStore
from tests.rig.outside import Around

RELEASED = sorted(Path(__file__).with_name("released").iterdir())
NUMBER = "185059999900181"  # of no patient
CALLER = Caller(CallerKind.LOCAL, "local:1000", "cardctl", "urn:cardd:local:1000", Peer(1000))
ENTRY = AuditEntry("signature.raw", Outcome.DONE, 1000, "c1", "LPS SIMULATION")


@pytest.fixture(params=RELEASED, ids=lambda folder: str(folder.name))
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A state directory as that cardd left it."""
    made = tmp_path / "state"
    (made / "audit").mkdir(parents=True)
    for file in request.param.glob("*.json"):
        shutil.copy(file, made)
    shutil.copy(request.param / "audit.head", made / "audit" / "head")
    with closing(sqlite3.connect(made / "audit" / "audit.db")) as connection:
        connection.executescript((request.param / "audit.sql").read_text())
    for path in (made, *made.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return made


# --- documents


def assembled(store: Store) -> Parts:
    return assemble(Config(support=Support(totp=True)), Around(store=store).made())


READERS: dict[str, Callable[[Store], object]] = {
    "clients": lambda store: [program.name for program in assembled(store).clients.programs(1000)],
    "pseudonyms": lambda store: Pseudonyms(store).of(NUMBER),
    "login-hints": lambda store: LoginHints(store).of(1000),
    "ecps-sessions": lambda store: [kept.national_id for kept in ResumableSessions(store, MemorySecrets()).all()],
    "certificates": lambda store: ExpiryWatch(store, ManualClock(), EventBus()).expiring()[0].serial,
}
DOCUMENTS = {"clients": 2}  # the others have the first
KNOWN = {
    "clients": ["LPS SIMULATION"],
    "pseudonyms": "1477a47ea26453dc",
    "login-hints": "899700000000",
    "ecps-sessions": ["899700000000"],
    "certificates": "0a1b",
}


@pytest.mark.parametrize("name", READERS)
def test_what_a_released_cardd_kept_is_known_after_the_upgrade(directory: Path, name: str) -> None:
    before = (directory / f"{name}.json").read_bytes()
    assert READERS[name](FileStore(directory)) == KNOWN[name]
    assert (directory / f"{name}.json").read_bytes() == before


def test_a_file_gets_its_format_when_something_is_kept(directory: Path) -> None:
    LoginHints(FileStore(directory)).keep(1001, "899700000001")
    kept = json.loads((directory / "login-hints.json").read_text())
    assert kept == {"format": 1, "entries": {"1000": "899700000000", "1001": "899700000001"}}


@pytest.mark.parametrize("name", READERS)
def test_a_document_of_a_newer_cardd_is_refused_and_left_as_it_is(name: str) -> None:
    store = MemoryStore()
    newer = DOCUMENTS.get(name, 1) + 1
    store.documents[name] = document = json.dumps({"format": newer, "entries": {}})
    with pytest.raises(StateTooNew) as told:
        READERS[name](store)
    told_of = {"file": name, "format": newer, "known": newer - 1}
    assert (told.value.code, told.value.params) == ("state.too_new", told_of)
    assert store.documents == {name: document}


def test_an_origin_of_before_pages_had_keys_is_known_and_has_none(directory: Path) -> None:
    [known] = Register(FileStore(directory)).origins.values()
    assert (known.origin, known.uid, known.keys) == ("https://simulation.example", 1000, ())


async def test_codes_of_support_of_a_newer_cardd_are_not_begun_anew() -> None:
    store = MemoryStore()
    store.documents["support"] = '{"format": 2}'
    with pytest.raises(StateTooNew):
        await assembled(store).support.standing(CALLER)
    assert store.documents == {"support": '{"format": 2}'}


@dataclass
class Room:
    """What some later cardd keeps: a room that once had no floor, and before that another name for its name."""

    title: str
    floor: int


def named(content: Content) -> Content:
    return {"title": content["name"]}


def with_floor(content: Content) -> Content:
    return content | {"floor": 0}


STEPS: tuple[Step, ...] = (named, with_floor)
SHAPES = [
    ('{"name": "SIMULATION"}', Room("SIMULATION", 0)),
    ('{"format": 1, "name": "SIMULATION"}', Room("SIMULATION", 0)),
    ('{"format": 2, "title": "SIMULATION"}', Room("SIMULATION", 0)),
    ('{"format": 3, "title": "SIMULATION", "floor": 4}', Room("SIMULATION", 4)),
]


@pytest.mark.parametrize(("written", "room"), SHAPES)
def test_each_shape_is_brought_forward_step_by_step(written: str, room: Room) -> None:
    store = MemoryStore()
    store.documents["room"] = written
    file = StateFile(store, "room", Room, STEPS)
    assert file.load() == room
    assert store.documents["room"] == written
    file.save(room)
    assert json.loads(store.documents["room"]) == {"format": 3, "title": room.title, "floor": room.floor}
    assert file.load() == room


@pytest.mark.parametrize("written", ['{"format": "1"}', '{"format": -1}', '{"format": 1}', "{}"])
def test_a_document_that_no_step_understands_is_damaged(written: str) -> None:
    store = MemoryStore()
    store.documents["room"] = written
    with pytest.raises(StateDamaged):
        StateFile(store, "room", Room, STEPS).load()


# --- the audit log

# A later cardd, in a process of its own: its audit rows have one field more.
TOMORROW = """
import asyncio, os, signal, sys
from pathlib import Path
import cardd.model

class AuditEntry(cardd.model.AuditEntry):
    room: str | None = None

cardd.model.AuditEntry = AuditEntry
from cardd.system import audit_file, audit_store
audit_file.FORMATS += (sys.argv[2],)
audit_store.FORMATS = audit_file.FORMATS

async def main():
    log = audit_store.SqliteAuditLog(Path(sys.argv[1]))
    await log.append(AuditEntry("signature.raw", cardd.model.Outcome.DONE, 1000, "c1", room="SIMULATION"))
    await log.close()
    print(audit_file.AuditReader(Path(sys.argv[1])).verify().number)
"""
COLUMN = "ALTER TABLE audit ADD COLUMN room TEXT;"
DYING = """
import functools, sqlite3
class Dying(sqlite3.Connection):
    def execute(self, statement, *more):
        if statement == "COMMIT":
            os.kill(os.getpid(), signal.SIGKILL)  # the step is done, and not yet committed
        return super().execute(statement, *more)
sqlite3.connect = functools.partial(sqlite3.connect, factory=Dying)
"""


def tomorrow(directory: Path, step: str = COLUMN, more: str = "") -> subprocess.CompletedProcess[str]:
    code = f"{TOMORROW}{more}\nasyncio.run(main())"
    command = [sys.executable, "-c", code, str(directory / "audit"), step]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def append(directory: Path) -> int:
    log = SqliteAuditLog(directory / "audit", ManualClock())
    try:
        return (await log.append(ENTRY)).number
    finally:
        await log.close()


async def test_the_log_of_a_released_cardd_is_read_and_continued(directory: Path) -> None:
    reader = AuditReader(directory / "audit")
    before = list(reader.export())
    assert reader.verify().number == 3
    assert await append(directory) == 4
    assert reader.verify().number == 4
    assert list(reader.export())[:3] == before


async def test_a_field_more_in_the_entries_is_a_column_more_and_the_chain_holds(directory: Path) -> None:
    before = list(AuditReader(directory / "audit").export())
    await append(directory)
    run = tomorrow(directory)
    assert (run.returncode, run.stdout) == (0, "5\n"), run.stderr
    with closing(sqlite3.connect(directory / "audit" / "audit.db")) as connection:
        [rooms] = zip(*connection.execute("SELECT room FROM audit ORDER BY number"), strict=True)
        hashes = [digest for (digest,) in connection.execute("SELECT hash FROM audit ORDER BY number")]
    assert rooms == (None, None, None, None, "SIMULATION")
    assert hashes[:3] == [json.loads(line)["hash"] for line in before]
    assert not (directory / "audit" / "audit.db.before").exists()


async def test_a_log_of_a_newer_cardd_is_refused_to_writer_and_reader_and_left_as_it_is(directory: Path) -> None:
    assert tomorrow(directory).returncode == 0
    before = (directory / "audit" / "audit.db").read_bytes()
    with pytest.raises(StateTooNew) as told:
        await append(directory)
    with pytest.raises(StateTooNew):
        AuditReader(directory / "audit").verify()
    with pytest.raises(StateTooNew):
        list(AuditReader(directory / "audit").export())
    assert told.value.params == {
        "file": str(directory / "audit" / "audit.db"),
        "format": len(FORMATS) + 1,
        "known": len(FORMATS),
    }
    assert (directory / "audit" / "audit.db").read_bytes() == before


def test_a_cardd_killed_in_the_middle_of_the_upgrade_has_lost_nothing(directory: Path) -> None:
    before = list(AuditReader(directory / "audit").export())
    assert tomorrow(directory, more=DYING).returncode == -signal.SIGKILL
    assert (directory / "audit" / "audit.db.before").stat().st_mode & 0o777 == 0o600
    assert list(AuditReader(directory / "audit").export()) == before
    run = tomorrow(directory)
    assert (run.returncode, run.stdout) == (0, "4\n"), run.stderr
    assert not (directory / "audit" / "audit.db.before").exists()


def test_a_step_after_which_the_chain_leads_elsewhere_is_undone(directory: Path) -> None:
    before = list(AuditReader(directory / "audit").export())
    run = tomorrow(directory, f"{COLUMN} DROP TRIGGER audit_no_delete; DELETE FROM audit WHERE number = 3;")
    assert AuditUnavailable.__name__ in run.stderr
    assert list(AuditReader(directory / "audit").export()) == before
    assert AuditReader(directory / "audit").verify().number == 3


def test_the_steps_make_a_column_of_each_field_of_an_entry(tmp_path: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("".join(FORMATS))
        there = [name for _, name, *_ in connection.execute("PRAGMA table_info(audit)")]
    assert sorted(there) == sorted(COLUMNS)
