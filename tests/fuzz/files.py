"""Files that cardd reads: of an administrator, of an earlier cardd, recorded elsewhere, or half written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cardd.apdu import Command
from cardd.config import Config
from cardd.config.loading import load
from cardd.config.settings import sections_of
from cardd.core import programs, recording, register, support, trail
from cardd.core.state_file import StateFile
from cardd.formats.trust import authorities_of
from cardd.identity.ecps.state import ResumableSession
from cardd.system.audit_heads import sent
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
    "heads": Parser(lambda data: sent(data.decode("utf-8", "replace").splitlines()), ("cardd.system.audit_heads",)),
}
