"""Files that cardd reads: of an administrator, of an earlier cardd, recorded elsewhere, or half written."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from cardd.apdu import Command
from cardd.cli import log_lines, policies
from cardd.cli.flatpak_overrides import with_filesystem, without_filesystem
from cardd.cli.registering import Form, Place, Registration
from cardd.cli.remembered import _Entry
from cardd.client.secret_file import SecretFile
from cardd.config import Config
from cardd.config.loading import load
from cardd.config.settings import sections_of
from cardd.core import programs, recording, register, support, trail
from cardd.core.state_file import StateFile
from cardd.errors import CarddError
from cardd.formats.trust import authorities_of
from cardd.identity.ecps.state import ResumableSession
from cardd.secret import Secret
from cardd.system import audit_file
from cardd.system.audit_heads import Heads, sent
from cardd.system.desktops import session_of
from cardd.system.people import Accounts
from cardd.system.store import FileStore
from cardd_simulators.cards import replay
from tests.fuzz.parser import Parser
from tests.rig.memory import MemoryStore

SHAPES: tuple[Callable[[MemoryStore], StateFile[object]], ...] = (
    lambda store: StateFile(store, "x", register._Kept, (register._with_keys,)),
    lambda store: StateFile(store, "x", programs._Kept),
    lambda store: StateFile(store, "x", trail._Kept),
    lambda store: StateFile(store, "x", recording._Kept),
    lambda store: StateFile(store, "x", support._Record),
    lambda store: StateFile(store, "x", dict[str, ResumableSession]),
    lambda store: StateFile(store, "x", dict[str, datetime]),
    lambda store: StateFile(store, "x", dict[str, str]),
)
SECTION_WORDS = (b"[listen]\n", b"[upstreams.dmp]\n", b"[psc]\n", b"[web]\n", b"[drivers.pkcs11]\n", b"[network]\n")
SETTINGS = sorted({f"{name} = ".encode() for _, section in sections_of(Config()) for name in section.__struct_fields__})
RECORDING_WORDS = (
    b'"format"',
    b'"version"',
    b'"type": "exchange"',
    b'"reader"',
    b'"atr"',
    b'"header"',
    b'"data"',
    b'"status"',
    b'"sent"',
    b'"answer"',
    b'"received"',
    b'"protocol": "T1"',
    b'"secret"',
    b"\n",
)
QUICK = Path("/dev/shm")  # where a sync costs nothing
FIREFOX_FILE, CHROMIUM_FOLDER = "etc/firefox/policies/policies.json", "etc/chromium/policies/managed"
POLICY_WORDS = (
    b'{"policies": {"LocalNetworkAccess": {"SkipDomains": ["webps.example"]}}}', b'"SecurityDevices": {"Add": {}}',
    b'{"LoopbackNetworkAllowedForUrls": ["https://webps.example:443"]}', b'{"format": 1, "files": {', b'"before": ',
)  # fmt: skip
ASKED = (Command(0, 0xA4, 4, 0, b"\xa0\x00"), Command(0, 0xB0, 0, 0, le=256), Command(0, 0x20, 0, 1, b"1234"))


@contextmanager
def _written(data: bytes) -> Iterator[Path]:
    file = os.memfd_create("file")
    try:
        os.write(file, data)
        yield Path(f"/proc/self/fd/{file}")
    finally:
        os.close(file)


def _configuration(data: bytes) -> None:
    with _written(data) as file:
        load(file)


def _state(data: bytes) -> None:
    """The first byte chooses what it is the state of; what can be read can be written and read again."""
    if not data:
        return
    store = MemoryStore()
    store.documents["x"] = data[1:].decode("utf-8", "replace")
    file = SHAPES[data[0] % len(SHAPES)](store)
    found = file.load()
    if found is not None:
        file.save(found)
        assert file.load() == found


def _recording(data: bytes) -> None:
    with _written(data) as file:
        card = replay.ReplayedCard(replay.load(str(file)), "SIMULATION")
    card.power_on()
    for command in ASKED:
        assert len(card.process(command.encode())) >= 2


def _authorities(data: bytes) -> None:
    with _written(data) as file:
        authorities_of(file)


def _drop_ins(data: bytes) -> None:
    """The main file, and each drop-in behind a zero byte."""
    main, *more = data.split(b"\0")
    with _folder() as folder:
        (folder / "cardd.toml").write_bytes(main)
        (folder / "cardd.toml.d").mkdir()
        for number, content in enumerate(more[:4]):
            (folder / "cardd.toml.d" / f"{number}.toml").write_bytes(content)
        load(directory=folder)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fuzz", dir=QUICK if QUICK.is_dir() else None) as folder:
        yield Path(folder)


# --- the audit log


def _audit_log(data: bytes) -> None:
    with _folder() as folder:
        (folder / audit_file.FILE).write_bytes(data)
        reader = audit_file.AuditReader(folder)
        asked: tuple[Callable[[], object], ...] = (
            lambda: reader.tail(20),
            lambda: reader.of(1000, 20),
            lambda: reader.about("ordonnance"),
            lambda: list(reader.export()),
            reader.breaks,
        )
        for ask in asked:
            with suppress(CarddError):
                ask()
        reader.verify()


def _audit_row(data: bytes) -> None:
    """JSON of a row's columns: what is taken for a row is written as it was read."""
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(record, list) and len(record) == len(audit_file.COLUMNS) and all(map(_is_a_column, record)):
        assert audit_file.record_of(audit_file.row_of(tuple(record))) == tuple(record)


def _is_a_column(value: object) -> bool:
    """Whether SQLite may have it in a column of text or numbers."""
    return value is None or isinstance(value, str) or (type(value) is int and -(2**63) <= value < 2**63)


def _audit_head(data: bytes) -> None:
    with _written(data) as file, Secret.of(bytes(32)) as key:
        for seal_key in (None, key):
            for noted in Heads([file], seal_key).read(must_be_sealed=seal_key is not None):
                assert (noted.head is None) == (noted.fault is not None)


# --- files of this user, of browsers and of the system


def _journal(data: bytes) -> None:
    lines = data.decode(errors="replace").splitlines()
    for masked in (False, True):
        list(log_lines._read(lines, masked=masked))


def _policies(data: bytes) -> None:
    """Firefox's policies and Chromium's, which are as they were before once ours have been in and out."""
    firefox, _, chromium = data.partition(b"\0")
    with _folder() as root:
        files = {root / FIREFOX_FILE: firefox, root / CHROMIUM_FOLDER / "site.json": chromium}
        for path in (*files, root / "usr/lib/firefox/firefox", root / "usr/lib/chromium/chromium"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files.get(path, b""))
        found = policies.Policies(root)
        found.standings()
        found.apply(["https://webps.example", "https://webps.example:8443"])
        found.standings()
        found.put_devices({"cardd": "/usr/lib/p11-kit-client.so"})
        found.devices()
        found.put_devices({})
        found.remove()
        assert {path: path.read_bytes() for path in files} == files


def _policies_record(data: bytes) -> None:
    """What was kept of the files that ours were put into."""
    with _folder() as root:
        record = root / policies.RECORD
        record.parent.mkdir(parents=True)
        record.write_bytes(data)
        policies.Policies(root).remove()


def _registration(data: bytes) -> None:
    """A file of another program's, in each form; and a record, behind a zero byte."""
    held, _, record = data.partition(b"\0")
    with _folder() as base:
        kept, file = base / "record", base / "other"
        for form in Form:
            file.write_bytes(held)
            registration = Registration(kept, base)
            assert not registration.put([Place("other", "", file, "SIMULATION /run/p11;1\n", form)])
            assert not registration.take_out()
            assert file.read_bytes() == held
        if record:
            kept.write_bytes(record.replace(b"/FOLDER", str(base).encode()))
            Registration(kept, base).take_out()


def _override(data: bytes) -> None:
    path = "/run/cardd;\\p11"
    put = with_filesystem(data, path)
    assert len(without_filesystem(put, path)) <= len(put)
    assert b"/run/cardd\\;\\\\p11;" in put
    assert len(put) <= len(data) + 64


def _remembered(data: bytes) -> None:
    with _folder() as folder:
        (folder / "sessions.json").touch(0o600)
        (folder / "sessions.json").write_bytes(data)
        entry = _Entry(FileStore(folder), "sessions", "/run/cardd/cardd.sock")
        assert all(isinstance(part, str) for pair in entry.load().items() for part in pair)
        entry.save({"id": "1", "token": "a"})
        assert entry.load() == {"id": "1", "token": "a"}


def _secret_file(data: bytes) -> None:
    with _folder() as folder:
        path = folder / "cardd-secret"
        path.touch(0o600)
        path.write_bytes(data)
        SecretFile("simulation", path).load()


def _accounts(data: bytes) -> None:
    with _written(data) as file:
        Accounts(file).only_one()


def _cgroup(data: bytes) -> None:
    with _folder() as process:
        (process / "cgroup").write_bytes(data)
        session_of(process, 1000)


PARSERS: dict[str, Parser] = {
    "configuration": Parser(
        _configuration,
        (
            "cardd.config.loading",
            "cardd.config.kinds",
            "cardd.config.settings",
            "cardd.config.services",
            "cardd.config.psc",
        ),
        words=(*SETTINGS, *SECTION_WORDS),
    ),
    "state": Parser(
        _state, ("cardd.core.state_file",), words=(b'{"format": 1', b'"entries": {', b'"origins": [', b'"programs": [')
    ),
    "recording": Parser(_recording, ("cardd_simulators.cards.replay",), longest=16_384, words=RECORDING_WORDS),
    "authorities": Parser(
        _authorities, ("cardd.formats.trust",), words=(b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n")
    ),
    "drop_ins": Parser(_drop_ins, ("cardd.config.loading",), words=(*SECTION_WORDS, b"\0")),
    "audit_log": Parser(_audit_log, ("cardd.system.audit_file",), longest=16_384),
    "audit_row": Parser(_audit_row, ("cardd.system.audit_file",), words=(b'"sign"', b"null", b'"done"', b'"ok"')),
    "audit_head": Parser(_audit_head, ("cardd.system.audit_heads",)),
    "journal": Parser(
        _journal, ("cardd.cli.log_lines",), words=(b'"__REALTIME_TIMESTAMP": ', b'"MESSAGE": ', b'"CARDD_MASKED": ')
    ),
    "policies": Parser(_policies, ("cardd.cli.policies", "cardd.cli.kept_files"), words=POLICY_WORDS),
    "policies_record": Parser(_policies_record, ("cardd.cli.policies", "cardd.cli.kept_files"), words=POLICY_WORDS),
    "registration": Parser(
        _registration,
        ("cardd.cli.registering", "cardd.cli.kept_files"),
        words=(b'{"folders": ["/FOLDER"], "files": {"/FOLDER/other": ', b'"before": ', b'"after": ', b'"form": '),
    ),
    "override": Parser(
        _override, ("cardd.cli.flatpak_overrides",), words=(b"[Context]\n", b"filesystems=", b";", b"\\")
    ),
    "remembered": Parser(_remembered, ("cardd.cli.remembered",)),
    "secret_file": Parser(_secret_file, ("cardd.client.secret_file",)),
    "accounts": Parser(_accounts, ("cardd.system.people",), words=(b":x:1000:1000:", b":/bin/bash\n")),
    "cgroup": Parser(_cgroup, ("cardd.system.desktops",), words=(b"user-1000.slice/session-", b".scope")),
    "heads": Parser(lambda data: sent(data.decode("utf-8", "replace").splitlines()), ("cardd.system.audit_heads",)),
}
